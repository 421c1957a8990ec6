"""What the commands of agents print and write."""

import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from tests.support.models import saved


def test_training_ends_with_a_table_messages_in_words_and_what_to_type_next(run, tmp_path):
    code, out, error = run("train ppo --size tiny --episodes 40 --set evaluation.problems=4 --out run --device cpu")
    assert code == 0
    for expected in (
        "4 test problems",
        "agent (greedy)",
        "greedy",
        "fluent",
        "message",
        "agent ",
        "learning_curve.png",
    ):
        assert expected in out
    assert "\x1b[" not in out  # no colours off a terminal
    mean = json.loads((tmp_path / "run" / "summary.json").read_text())["mean_last_100"]
    assert re.search(rf"episode 40 of 40 .* mean of the last 100 {re.escape(f'{mean:+.3f}')} ", error)
    assert "python -m agents.evaluate run" in out

    code, out, _ = run("evaluate run --problems 4 --split validation")
    assert code == 0
    assert "4 validation problems" in out
    assert "agent (sampled)" in out

    said = [run(f"watch run {option} --problem 3") for option in ("", "--sampled", "--sampled")]
    assert [code for code, *_ in said] == [0, 0, 0]
    assert all("test problem 3   step 8 of 8" in out for _, out, _ in said)
    assert said[0] != said[1] == said[2]  # samples are the same at every call


def test_two_runs_are_compared_on_the_same_problems(run, tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b", policy={"head": "fast"})
    code, out, _ = run("evaluate a b --problems 20")
    assert code == 0
    for expected in ("20 test problems of 64 tokens and 8 steps", "mean difference A - B", "verdict"):
        assert expected in out


def test_an_ensemble_is_evaluated_beside_its_members(run, tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b", algorithm="maskable-ppo", env={"vocab_size": 100})
    saved(tmp_path / "other", env={"language_seed": 1})
    code, out, _ = run("evaluate --ensemble mean-prob a b --problems 8")
    assert code == 0
    for expected in ("8 test problems of 64 tokens and 8 steps", "ensemble (mean-prob)", "b (masked)", "CPU ms/token"):
        assert expected in out
    assert "ensemble" in out.splitlines()[-1]
    for line, message in (
        ("a other", "the agents speak different languages"),
        ("a", "an ensemble has at least 2 members, 1 was given"),
    ):
        code, out, error = run(f"evaluate --ensemble vote {line}")
        assert (code, out) == (2, "")
        assert message in error


@pytest.mark.parametrize("algorithm", ["grpo", "maskable-ppo", "recurrent-ppo", "trpo"])
def test_every_command_plays_agents_with_masks_or_memory(run, tmp_path, algorithm):
    common = "--size tiny --no-progress --device cpu --episodes 40 --set evaluation.problems=2"
    out = run(f"train {algorithm} {common} --set recurrent-ppo.lstm_hidden_size=8 --out a")[1]
    assert ("masked (greedy)" in out) == (algorithm == "maskable-ppo")
    saved(tmp_path / "b")
    assert ("masked (sampled)" in run("evaluate a --problems 2")[1]) == (algorithm == "maskable-ppo")
    code, out, _ = run("evaluate a b --problems 2")
    assert code == 0
    assert ("A  a (masked)" in out) == (algorithm == "maskable-ppo")
    assert "step 8 of 8" in run("watch a --sampled --problem 3")[1]


def test_no_progress_is_quiet_and_the_default_directory_tells_what_ran(run, tmp_path):
    code, _, error = run(
        "train a2c --size tiny --episodes 16 --seed 3 --no-progress --device cpu --set evaluation.problems=2"
    )
    assert (code, error) == (0, "")
    assert [path.name.rsplit("-", 2)[0] for path in (tmp_path / "runs").iterdir()] == ["a2c-tiny-3"]


def test_a_config_file_stands_alone_or_over_a_size(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nepisodes: 16\nevaluation: {problems: 2}\na2c: {n_envs: 2}\n")
    assert run("train a2c --size tiny --config mine.yaml --out over --no-progress --device cpu")[0] == 0
    assert "hidden:\n  - 64" in (tmp_path / "over" / "config.yaml").read_text()
    code, _, error = run("train a2c --config mine.yaml --out alone")
    assert code == 2  # Stable-Baselines3's n_steps=5 cuts episodes of 30 steps
    assert "a2c.n_steps=5 cuts episodes" in error


def test_reference_policies_are_evaluated_by_name(run):
    code, out, _ = run("evaluate greedy fluent --size tiny --problems 8")
    assert code == 0
    assert out.index("greedy") < out.index("fluent")
    assert "random" not in out


def test_the_doctor_tells_what_it_found_and_writes_it_down(run, tmp_path):
    code, out, _ = run("doctor --size tiny --json found.json")
    assert code == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert {speed["size"] for speed in found["training"]} == {"tiny"}
    for told in ("torch", "device cuda", "GFLOP/s", "tiny", *(sentence.split("(")[0] for sentence in found["advice"])):
        assert told in " ".join(out.split())


def test_without_its_extra_the_package_says_what_to_install():
    code = "import sys; sys.modules |= {'stable_baselines3': None, 'fastapi': None}; import agents"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 1
    assert "pip install -c constraints.txt '.[agents]'" in out.stderr


STUDY = (
    "--size tiny --trials 3 --seeds 1 --finalists 1 --final-seeds 3 --episodes 16 --set device=cpu "
    "--set evaluation.problems=4"
)


def test_a_study_is_run_shown_exported_and_never_mixed_with_another_or_other_versions(run, tmp_path, monkeypatch):
    code, out, error = run(f"tune run a2c {STUDY}")
    assert code == 0, error
    assert "trial 0 complete" in error
    assert "The mean test score of 3 new seeds will lie in" in out
    journal = tmp_path / "runs" / "studies" / "a2c-tiny.journal"
    before = journal.read_bytes()

    code, out, _ = run("tune show a2c-tiny")
    assert code == 0
    page = (tmp_path / "runs" / "studies" / "a2c-tiny.html").read_text()
    for title in ("History", "Importances", "Parallel coordinates", "Best trials", "The mean test score of"):
        assert title in page
    assert "plotly.js" in page
    assert not re.search(r'<(?:script|link|img)[^>]*="http', page)

    code, out, _ = run("tune export a2c-tiny")
    assert (code, out) == (0, "python -m agents.train a2c --config a2c-tiny.yaml\n")
    code, _, error = run("tune export a2c-tiny")
    assert code == 2
    assert "'a2c-tiny.yaml' exists already" in error
    assert run("train a2c --config a2c-tiny.yaml --device cpu --no-progress --out run")[0] == 0

    for other, message in (
        (f"tune run a2c {STUDY} --set a2c.gamma=0.7", "has settings.a2c.gamma=0.8, not 0.7"),
        (f"tune run ppo --study a2c-tiny {STUDY} --episodes 40", "has settings.algorithm='a2c', not 'ppo'"),
        (f"tune run a2c {STUDY} --sampler random", "has sampler='tpe', not 'random'"),
        (f"tune run a2c --study a2c-tiny {STUDY} --size fast", "has settings.name='tiny', not 'fast'"),
        ("tune show a2c-tyni", "unknown study 'a2c-tyni'. Did you mean 'a2c-tiny'?"),
    ):
        code, _, error = run(other)
        assert code == 2
        assert message in error
    assert journal.read_bytes() == before

    monkeypatch.setattr("agents.tuning.plan.versions", lambda: {"python": "3.11.0", "torch": "1.0"})
    code, _, error = run(f"tune run a2c {STUDY}")
    assert code == 2
    assert re.search(r"the study 'a2c-tiny' has versions\.\w+=.*; type --study with another name", error)


def test_a_comparison_tells_budgets_only_where_they_differ(run, tmp_path):
    for name, episodes in (("a", 2000), ("b", 2000), ("c", 80)):
        saved(tmp_path / name, episodes=episodes)
    assert "different budgets" not in run("evaluate a b --problems 2")[1]
    told = "different budgets: A was trained for 2,000 episodes (16,000 steps), B for 80 episodes (640 steps)\n"
    assert told in run("evaluate a c --problems 2")[1]


def test_set_changes_the_task_that_a_run_plays(run, tmp_path):
    saved(tmp_path / "a")
    shorter = "--set env.max_steps=4 --set env.noise=0"
    assert "step 4 of 4" in run(f"watch a {shorter}")[1]
    assert "step 4 of 4" in run(f"watch greedy --size tiny {shorter} --set env.vocab_size=20")[1]
    code, out, _ = run(f"evaluate a {shorter} --problems 2")
    assert (code, "2 test problems, env.max_steps=4, env.noise=0" in out) == (0, True)
    code, _, error = run("watch a --set env.vocab_size=20")
    assert (code, "--set cannot change env.vocab_size for a run" in error) == (2, True)
    assert "env.message_vocab is 65; it must be from 2 to 64" in run("watch a --set env.message_vocab=65")[2]


def test_a_run_is_evaluated_and_watched_with_another_plan(run, tmp_path):
    for name, head in (("a", "tied"), ("b", "planning"), ("plain", "fast")):
        saved(tmp_path / name, policy={"head": head, "hidden": [16]})
    for line in ("a --set env.noise=0", "a b", "--ensemble vote a b"):
        code, out, error = run(f"evaluate {line} --plan 1 --problems 3")
        assert (code, error) == (0, "")
        assert re.search(r"3 test problems.*, plan of 1 step", out.replace("\n", " "))
        rows = 2 if line == "a b" else 1
        assert [len(re.findall(rf"│ .*, {plan} ", out)) for plan in ("plan of 1 step", "no plan")] == [rows, rows]
        assert "CPU ms/token" in out
    assert "step 8: " in run("watch a --plan 1")[1]
    for line, message in (
        ("evaluate a b --plan 2", "--plan 2 does not fit 'a': the depth of the plan is 2; it must be from 0 to 1"),
        ("evaluate a plain --plan 1", "--plan 1 does not fit 'plain': policy.head=fast cannot plan"),
        ("evaluate a --plan -1", "--plan -1 does not fit 'a'"),
        ("evaluate greedy --plan 1", "'greedy' is a reference policy; leave out --plan"),
        ("evaluate --log x --plan 1", "leave out runs, policies, --ensemble, --plan and --set"),
        ("watch greedy --plan 1", "'greedy' is a reference policy; leave out --plan"),
        ("watch plain --plan 1", "--plan 1 does not fit 'plain'"),
    ):
        code, out, error = run(line)
        assert (code, out, message in error) == (2, "", True)


def test_watching_shows_the_plan_of_runs_that_have_one(run, tmp_path):
    for name, head in (("planning", "planning"), ("tied", "tied"), ("plain", "fast")):
        saved(tmp_path / name, policy={"head": head, "hidden": [16]})
        out = run(f"watch {name}")[1]
        assert out.count("now   next  total") == (0 if head == "fast" else 8)
        assert ("what the plan adds" in out) == (head != "fast")
    assert run("watch planning --out a.png")[0] == run("watch planning --out a.gif")[0] == 0
    with Image.open(tmp_path / "a.png") as png, Image.open(tmp_path / "a.gif") as gif:
        assert png.size == gif.size
        assert gif.n_frames == 9
