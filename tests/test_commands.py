"""The command lines as a person meets them: what they print, and how they refuse wrong input."""

import json
import multiprocessing
import re
import subprocess
import sys

import pytest

from agents import doctor as doctor_command
from agents import evaluate as evaluate_command
from agents import train as train_command
from agents import tune as tune_command
from agents import watch as watch_command
from agents.cli.console import run_command
from agents.machine.matmul import Cpu
from agents.training.saver import Saver
from benchmarks import __main__ as benchmarks_command
from benchmarks.measures.results_file import append, results_file
from tests.support.benchmark_rows import make_row

COMMANDS = {
    "doctor": doctor_command.doctor,
    "train": train_command.train,
    "evaluate": evaluate_command.evaluate,
    "watch": watch_command.watch,
}

APPS = {"benchmarks": benchmarks_command.app, "tune": tune_command.app}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a command in an empty directory: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"\x00\x01\x02")
    (tmp_path / "empty").write_text("")
    (tmp_path / "short.txt").write_text("one two three one two")
    (tmp_path / "taken").mkdir()

    def run(line):
        name, *words = line.split()
        monkeypatch.setattr(sys, "argv", [name, *words])
        with pytest.raises(SystemExit) as end:
            APPS[name]() if name in APPS else run_command(COMMANDS[name])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "train pp0",
            "unknown algorithm 'pp0'. Did you mean 'ppo'? Known: a2c, maskable-ppo, ppo, recurrent-ppo, trpo.",
        ),
        ("train maskable_ppo", "unknown algorithm 'maskable_ppo'. Did you mean 'maskable-ppo'?"),
        ("train maskable-ppo --size tiny --set maskable-ppo.n_envs=3", "or --set maskable_ppo.n_envs=2"),
        ("train recurrent-ppo --size tiny --set ppo.n_steps=9", "type --set recurrent_ppo.n_steps=8"),
        ("train trpo --size tiny --set trpo.batch_size=7", "type --set trpo.batch_size=8"),
        ("train trpo --size tiny --set env.discount=0.3", "env.discount=0.3 differs from trpo.gamma=0.5"),
        ("train trpo --set trpo.ent_coef=0.1", "unknown setting 'trpo.ent_coef'."),
        ("train ppo --size fsat", "unknown size 'fsat'. Did you mean 'fast'?"),
        ("train ppo --set ppo.learning_rat=1", "Did you mean 'ppo.learning_rate'?"),
        ("train ppo --set env.reward=dens", "Did you mean 'dense'?"),
        ("train ppo --set env.vocab_size=1", "env.vocab_size is 1; it must be at least 2."),
        ("train ppo --set env.noise=-1", "env.noise is -1"),
        ("train ppo --set nonsense", "--set takes KEY=VALUE"),
        ("train ppo --episodes 0", "episodes cannot be 0"),
        ("train ppo --episodes 77", "type --episodes 80"),
        ("train ppo --language text:none.txt", "none.txt': No such file"),
        ("train ppo --language text:empty", "the text has no words"),
        ("train ppo --language text:binary", "is not text"),
        ("train ppo --language text:short.txt", "the text has 3 distinct words"),
        ("train ppo --language text:taken", "taken': Is a directory"),
        ("train ppo --language sinthetic", "Did you mean 'synthetic'?"),
        ("train ppo --from taken", "taken' is no finished run"),
        ("train ppo --from=", "from_run cannot be ''"),
        ("train ppo --curriculum --set curriculum.noise=1", "curriculum.noise=1 is harder than the task"),
        ("train ppo --set curriculum.levels=1", "curriculum.levels cannot be 1"),
        ("train ppo --out taken", "'taken' exists already"),
        ("train", "type an algorithm (a2c, maskable-ppo, ppo, recurrent-ppo, trpo), or --resume with a run;"),
        ("train --resume none", "'none' is not a run: it has no config.yaml."),
        ("train --resume taken", "'taken' is not a run: it has no config.yaml."),
        ("train --resume taken --out other", "--resume continues in the directory of its run; leave out --out."),
        ("train ppo --allow-change", "--allow-change goes with --resume RUN."),
        ("train ppo --out empty/run", "cannot create the directory"),
        ("train ppo --device mps", "device 'mps' cannot be used: "),
        ("train ppo --device gpu", "unknown device 'gpu'"),
        ("train ppo --config none.yaml", "there is no file 'none.yaml'"),
        ("train ppo --config binary", "cannot read settings"),
        ("train ppo --set env.split=test", "env.split and evaluation.split are both 'test'"),
        ("train ppo --set env.discount=0.3", "env.discount=0.3 differs from ppo.gamma=0.5"),
        ("train ppo --size=", "unknown size ''"),
        ("evaluate none", "'none' is no directory of a run; type one run, two runs to compare, or"),
        ("evaluate taken", "'taken' is no finished run"),
        ("evaluate greedy taken", "'greedy' is a reference policy, not a run; type one run"),
        ("evaluate optimal lookahed", "'lookahed' is no directory of a run"),
        ("evaluate optimal lookahed", "Did you mean 'lookahead'?"),
        ("evaluate taken taken taken", "3 runs were named"),
        ("evaluate taken taken", "'taken' is no finished run"),
        (
            "evaluate --split test",
            "nothing to evaluate; type a run, reference policies, or --log FILE; --help lists all options.",
        ),
        ("evaluate taken taken --ensemble votes", "unknown ensemble rule 'votes'. Did you mean 'vote'?"),
        ("evaluate greedy taken --ensemble vote", "'greedy' is a reference policy, not a run; type two or more runs."),
        ("evaluate taken taken taken --ensemble vote", "'taken' is no finished run"),
        ("evaluate taken --log empty", "leave out runs, policies and --ensemble"),
        ("evaluate --log none", "cannot read 'none': No such file or directory; type --log with a file."),
        ("evaluate --log taken", "cannot read 'taken': Is a directory"),
        ("evaluate --log empty", "'empty' gives no verdict: it is empty"),
        ("evaluate --log short.txt", "'short.txt' gives no verdict: none of its 0 whole lines is a decision"),
        ("benchmarks coverage --out none/x.csv --trials 1", "cannot write"),
        ("evaluate greedy --size huge", "unknown size 'huge'"),
        ("evaluate taken --size fast", "a run has its own size"),
        ("evaluate greedy --split tests", "Did you mean 'test'?"),
        ("evaluate greedy --problems 0", "evaluate at least 1"),
        ("watch none", "'none' is no directory of a run; type a run or a reference policy (random, fluent, "),
        ("watch taken", "'taken' is no finished run"),
        ("watch taken --size fast", "a run has its own size"),
        ("watch greedy --size huge", "unknown size 'huge'"),
        ("watch greedy --split tests", "Did you mean 'test'?"),
        ("watch greedy --size tiny --problem -1", "problem id -1 is outside the split 'test'"),
        ("watch greedy --fps 0", "fps is 0; it must be more than 0"),
        ("watch greedy --fps nan", "fps is nan"),
        ("watch greedy --sampled", "'greedy' has no probabilities"),
        ("watch greedy --out episode.mp4", "its suffix must be .gif or .png"),
        ("watch greedy --out none/episode.gif", "there is no directory 'none'"),
        ("train ppo --precision fp8", "precision cannot be 'fp8': Input should be 'float32' or 'bf16'"),
        ("doctor --size huge", "unknown size 'huge'"),
        ("doctor --json none/found.json", "there is no directory 'none'"),
        ("doctor --json taken", "it is a directory"),
        ("benchmarks speed enw", "Did you mean 'env'?"),
        ("benchmarks speed env --growth", "type python -m benchmarks speed train --growth"),
        ("benchmarks run fast-vs-stabel", "Did you mean 'fast-vs-stable'?"),
        ("benchmarks run tiny --case tiny/pppo", "unknown case 'tiny/pppo'. Did you mean 'tiny/ppo'?"),
        ("benchmarks run tiny --executor rey", "unknown executor 'rey'. Did you mean 'ray'? Known: local, ray."),
        ("benchmarks run tiny --results new --address head:6379", "type --executor ray with it"),
        ("benchmarks run tiny --results empty", "cannot write into 'empty'"),
        (
            "benchmarks table tiny --results taken",
            "there are no results of 'tiny' in 'taken'; type python -m benchmarks",
        ),
        ("benchmarks claims --results taken", "there are no results in 'taken' that claims can be tested with; type"),
        ("benchmarks claims --results empty", "cannot read"),
        ("benchmarks claims --readme --format markdown", "--readme writes the committed results; leave"),
        ("benchmarks table --metric test_retrun", "Did you mean 'test_return'?"),
        ("benchmarks table --case fast/presett", "Did you mean 'fast/preset'?"),
        ("benchmarks table tiny --readme", "--readme writes the committed results of fast-vs-stable"),
        ("benchmarks plots tiny --results taken", "there are no results of 'tiny'"),
        ("benchmarks plots --out empty", "cannot write into 'empty'"),
        ("tune run pp0", "unknown algorithm 'pp0'. Did you mean 'ppo'?"),
        ("tune run ppo --size fsat", "unknown size 'fsat'. Did you mean 'fast'?"),
        ("tune run ppo --trials 0", "the number of trials is 0; it must be at least 1."),
        ("tune run ppo --workers 0", "the number of workers is 0; type --workers 1"),
        ("tune run ppo --seeds 0", "--seeds cannot be 0"),
        ("tune run ppo --final-seeds 1", "--final-seeds cannot be 1"),
        ("tune run ppo --sampler tpee", "unknown sampler 'tpee'. Did you mean 'tpe'?"),
        ("tune run ppo --pruner medain", "unknown pruner 'medain'. Did you mean 'median'?"),
        ("tune run ppo --parameter gama", "unknown parameter 'gama'. Did you mean 'gamma'?"),
        ("tune run ppo --set ppo.gama=1", "unknown setting 'ppo.gama'"),
        ("tune run ppo --episodes 77", "type --episodes 80"),
        ("tune run ppo --study a/b", "name cannot be 'a/b'"),
        ("tune run ppo --study a.final", "'a.final' is reserved for a stage of a study"),
        ("tune run ppo --storage sqlite:///x.db --workers 2", "sqlite loses trials of 2 workers; type --workers 1"),
        ("tune run ppo --storage mysql://host/x", "unknown storage 'mysql://host/x'; type --storage with one of"),
        ("tune run ppo --storage postgresql://me:secret@127.0.0.1:9/x", "***@127.0.0.1:9/x: connection failed"),
        ("tune run ppo --storage journal:binary", "is not a study journal, or damaged"),
        ("tune show none", "unknown study 'none': there is none yet."),
        ("tune export none", "unknown study 'none': there is none yet."),
        ("tune check none", "unknown study 'none': there is none yet."),
        ("tune show none --storage journal:none", "there is no journal"),
        ("tune serve --storage sqlite:///x.db", "the proxy serves PostgreSQL only"),
    ],
)
def test_wrong_input_gives_one_clear_message_exit_code_2_and_no_file(run, tmp_path, line, message):
    if "mps" in line and "mps" in __import__("agents.machine.devices", fromlist=["x"]).available_devices():
        pytest.skip("this machine has mps")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    code, out, error = run(line)
    assert code == 2
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") <= 4  # a YAML parser's message has a few lines
    assert "Traceback" not in out + error
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "line", ["train", "evaluate", "watch", "train ppo --sise fast", "train ppo --seed x", "benchmarks"]
)
def test_wrong_words_on_the_command_line_exit_with_2_and_say_what_to_type(run, line):
    code, out, error = run(line)
    assert code == 2
    assert "--help" in out + error
    assert "Traceback" not in out + error


def test_training_ends_with_a_table_messages_in_words_and_what_to_type_next(run, tmp_path):
    code, out, error = run("train ppo --size tiny --episodes 80 --set evaluation.problems=4 --out run --device cpu")
    assert code == 0
    for expected in ("4 test problems", "agent (greedy)", "greedy", "fluent", "message", "said", "learning_curve.png"):
        assert expected in out
    assert "\x1b[" not in out  # no colours off a terminal
    mean = json.loads((tmp_path / "run" / "summary.json").read_text())["mean_last_100"]
    assert re.search(rf"episode 80 of 80 .* mean of the last 100 {re.escape(f'{mean:+.3f}')} ", error)
    assert "python -m agents.evaluate run" in out

    code, out, _ = run("evaluate run --problems 4 --split validation")
    assert code == 0
    assert "4 validation problems" in out
    assert "agent (sampled)" in out

    said = [run(f"watch run {option} --problem 3") for option in ("", "--sampled", "--sampled")]
    assert [code for code, *_ in said] == [0, 0, 0]
    assert all("test problem 3   step 8 of 8" in out for _, out, _ in said)
    assert said[0] != said[1] == said[2]  # samples are the same at every call


def test_two_runs_are_compared_on_the_same_problems(run):
    common = "train ppo --size tiny --no-progress --device cpu --set evaluation.problems=2"
    run(f"{common} --episodes 40 --out a")
    run(f"{common} --episodes 200 --out b")
    code, out, _ = run("evaluate a b --problems 50")
    assert code == 0
    for expected in ("50 test problems of 64 tokens and 8 steps", "mean difference A - B", "verdict"):
        assert expected in out


def test_an_ensemble_is_evaluated_beside_its_members(run):
    common = "--no-progress --device cpu --episodes 40 --set evaluation.problems=2"
    run(f"train ppo --size tiny {common} --out a")
    run(f"train maskable-ppo --size tiny {common} --set env.vocab_size=100 --out b")
    run(f"train ppo --size tiny {common} --set env.language_seed=1 --out other")
    code, out, _ = run("evaluate --ensemble mean-prob a b --problems 20")
    assert code == 0
    for expected in ("20 test problems of 64 tokens and 8 steps", "ensemble (mean-prob)", "b (masked)", "CPU ms/token"):
        assert expected in out
    assert "ensemble" in out.splitlines()[-1]
    for line, message in (
        ("a other", "the agents speak different languages"),
        ("a", "an ensemble has at least 2 members, 1 was given"),
    ):
        code, out, error = run(f"evaluate --ensemble vote {line}")
        assert (code, out) == (2, "")
        assert message in error


@pytest.mark.parametrize("algorithm", ["maskable-ppo", "recurrent-ppo", "trpo"])
def test_every_command_plays_agents_with_masks_or_memory(run, algorithm):
    common = "--size tiny --no-progress --device cpu --episodes 40 --set evaluation.problems=2"
    out = run(f"train {algorithm} {common} --set recurrent-ppo.lstm_hidden_size=8 --out a")[1]
    assert ("masked (greedy)" in out) == (algorithm == "maskable-ppo")
    run(f"train ppo {common} --out b")
    assert ("masked (sampled)" in run("evaluate a --problems 4")[1]) == (algorithm == "maskable-ppo")
    code, out, _ = run("evaluate a b --problems 4")
    assert code == 0
    assert ("A  a (masked)" in out) == (algorithm == "maskable-ppo")
    assert "step 8 of 8" in run("watch a --sampled --problem 3")[1]


def test_the_coverage_study_prints_a_table_and_writes_its_figures(run, tmp_path):
    code, out, _ = run("benchmarks coverage --trials 3 --out figures.csv")
    assert code == 0
    assert out.startswith("| 95 % interval for | seeds | normal | skewed | collapsing |")
    assert (tmp_path / "figures.csv").read_text().startswith("runs,interval,seeds,trials,coverage")


@pytest.fixture
def results(tmp_path):
    """A folder with two runs and a damaged line."""
    for case in ("tiny/ppo", "tiny/a2c"):
        append("tiny", tmp_path, make_row(case=case))
    with results_file("tiny", tmp_path).open("a") as file:
        file.write("nonsense\n")
    return tmp_path


def test_a_table_with_a_damaged_row_shows_the_good_ones_names_it_and_exits_with_2(run, results):
    for form, expected in (
        ("terminal", "Best episode"),
        ("markdown", "| Best episode |"),
        ("csv", "max_return,tiny/a2c,1"),
    ):
        code, out, error = run(f"benchmarks table tiny --results {results} --format {form}")
        assert code == 2
        assert expected in out
        assert "line 3, is left out: it is damaged" in error
    assert run(f"benchmarks plots tiny --results {results} --out pictures")[0] == 2
    assert len(list((results / "pictures").iterdir())) == 10


def test_claims_are_told_from_what_there_is_in_both_formats(run, tmp_path):
    append("claims", tmp_path, make_row("claims", "fast/curriculum"))
    code, out, error = run(f"benchmarks claims --results {tmp_path}")
    assert (code, error) == (0, "")
    claim = "A curriculum brings more than a point of score."
    assert f"curriculum: NOT RUN YET\n  {claim}\n  - There are 1 runs of fast/curriculum of claims" in out
    with results_file("claims", tmp_path).open("a") as file:
        file.write("nonsense\n")
    code, out, error = run(f"benchmarks claims --results {tmp_path} --format markdown")
    assert code == 2
    assert "line 2, is left out: it is damaged" in error
    assert f"| {claim} | **not run yet** | There are 1 runs" in out


def test_a_table_shows_the_rows_and_columns_asked_for(run):
    code, out, error = run("benchmarks table --format markdown --metric test_return --case fast/preset")
    assert (code, error) == (0, "")
    heading, _, section, row, *_ = out.splitlines()
    assert heading.count("|") == 5
    assert "**Held-out problems**" in section
    assert re.match(r"\| Return \| — \| \+\d\.\d\d ± ", row)


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
    code, out, _ = run("evaluate greedy fluent --size tiny --problems 20")
    assert code == 0
    assert out.index("greedy") < out.index("fluent")
    assert "random" not in out


def test_the_doctor_tells_what_it_found_and_writes_it_down(run, tmp_path):
    code, out, _ = run("doctor --size tiny --json found.json")
    assert code == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found["training"]) == ["tiny"]
    for told in ("torch", "device cuda", "GFLOP/s", "tiny", *(sentence.split("(")[0] for sentence in found["advice"])):
        assert told in " ".join(out.split())


def test_speed_compares_every_interface_and_leaves_no_process_behind(run, monkeypatch):
    small = {"MEASURED_SIZES": ("tiny",), "ROWS": (2, 3), "PROCESS_ROWS": 2, "EPISODES": 1, "LOOP_STEPS": 1}
    for name, value in (small | {"MASK_VOCAB": 64, "MASK_CALLS": 1}).items():
        monkeypatch.setattr(f"benchmarks.speed.environment.{name}", value)
    code, out, _ = run("benchmarks speed env --repeats 1")
    assert code == 0
    figures = {line.split("│")[1].strip() + line.split("│")[2]: line for line in out.splitlines() if line[:1] == "│"}
    for name in ("make_vec", "SyncVectorEnv", "AsyncVectorEnv", "our SB3 VecEnv", "DummyVecEnv", "SubprocVecEnv"):
        for rows in (2, 3):
            (line,) = [line for start, line in figures.items() if name in start and start.endswith(f" {rows} ")]
            assert (line.count("—") == 2) == (rows == 3 and name in ("AsyncVectorEnv", "SubprocVecEnv")), line
    for other in ("the plain Env", "making the language of tiny", "masks, V = 64"):
        assert any(start.startswith(other) for start in figures), other
    assert not multiprocessing.active_children()
    assert max(map(len, out.splitlines())) <= 120


def test_speed_of_training_compares_our_trainers_with_stock_sb3(run, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.training.SIZES", ("tiny",))
    monkeypatch.setattr("benchmarks.speed.training.REPEAT_FLOPS", 1.0)
    monkeypatch.setattr(
        "agents.machine.matmul.this_cpu", lambda: Cpu("AuthenticAMD", frozenset({"avx512f", "avx512_bf16"}))
    )
    monkeypatch.setattr("benchmarks.speed.trainers.find_spec", lambda name: None)  # sbx is not installed
    code, out, _ = run("benchmarks speed train --repeats 1")
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line[:1] == "│"]
    ours = ["fast heads", "fast heads, bf16", "tied head", "tied head, bf16"]
    assert [row[0] for row in rows] == ["SB3, DummyVecEnv", "SB3, our VecEnv", *ours] * 2
    rates = [float(row[1].replace(",", "")) for row in rows[:6]]
    assert [float(row[3]) for row in rows[:6]] == pytest.approx([rate / rates[0] for rate in rates], abs=0.01)
    assert [float(row[4]) for row in rows[:6]] == pytest.approx([rate / rates[1] for rate in rates], abs=0.01)
    assert all(float(row[6][:-1]) + float(row[7][:-1]) == pytest.approx(100, abs=1) for row in rows)
    assert max(map(len, out.splitlines())) <= 120


def test_speed_of_the_solver_is_told_beside_the_plain_pass(run, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.solver.MEASURED", (("synthetic", "tiny"), ("english", "tiny")))
    code, out, _ = run("benchmarks speed solver --repeats 1")
    assert code == 0
    assert [line.split("│")[1].strip() for line in out.splitlines() if line[:1] == "│"] == ["synthetic", "english"]


def test_speed_of_runs_tells_what_each_care_takes_of_the_training(run, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.overheads.SIZES", ("tiny",))
    save = Saver._save
    code, out, _ = run("benchmarks speed runs --repeats 1")
    assert code == 0
    cells = next([cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "tiny" in line)
    shares = [float(cell.removesuffix(" %")) for cell in cells[2:]]
    assert len(shares) == 4
    assert min(shares) > 0
    assert sum(shares) < 100
    assert Saver._save is save


def test_without_its_extra_the_package_says_what_to_install():
    code = "import sys; sys.modules['stable_baselines3'] = None; import agents"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 1
    assert "pip install -c constraints.txt '.[agents]'" in out.stderr


STUDY = (
    "--size tiny --trials 3 --seeds 1 --finalists 1 --final-seeds 2 --episodes 16 --set device=cpu "
    "--set evaluation.problems=4"
)


def test_a_study_is_run_shown_exported_and_never_mixed_with_another(run, tmp_path):
    code, out, error = run(f"tune run a2c {STUDY}")
    assert code == 0, error
    assert "trial 0 complete" in error
    assert "The mean test score of 2 new seeds will lie in" in out
    journal = tmp_path / "runs" / "studies" / "a2c-tiny.journal"
    before = journal.read_bytes()

    code, out, _ = run("tune show a2c-tiny")
    assert code == 0
    page = (tmp_path / "runs" / "studies" / "a2c-tiny.html").read_text()
    for title in ("History", "Importances", "Parallel coordinates", "Best trials", "The mean test score of"):
        assert title in page
    assert "plotly.js" in page
    assert 'src="http' not in page

    code, out, _ = run("tune export a2c-tiny")
    assert (code, out) == (0, "python -m agents.train a2c --config a2c-tiny.yaml\n")
    code, _, error = run("tune export a2c-tiny")
    assert code == 2
    assert "'a2c-tiny.yaml' exists already" in error
    assert run("train a2c --config a2c-tiny.yaml --device cpu --no-progress --out run")[0] == 0

    for other, message in (
        (f"tune run a2c {STUDY} --set a2c.gamma=0.7", "has settings.a2c.gamma=0.5, not 0.7"),
        (f"tune run ppo --study a2c-tiny {STUDY} --episodes 40", "has settings.algorithm='a2c', not 'ppo'"),
        (f"tune run a2c {STUDY} --sampler random", "has sampler='tpe', not 'random'"),
        (f"tune run a2c --study a2c-tiny {STUDY} --size fast", "has settings.name='tiny', not 'fast'"),
        ("tune show a2c-tyni", "unknown study 'a2c-tyni'. Did you mean 'a2c-tiny'?"),
    ):
        code, _, error = run(other)
        assert code == 2
        assert message in error
    assert journal.read_bytes() == before


def test_a_study_of_other_versions_is_not_joined(run, tmp_path, monkeypatch):
    assert run(f"tune run a2c {STUDY}")[0] == 0
    monkeypatch.setattr("agents.tuning.plan.versions", lambda: {"python": "3.11.0", "torch": "1.0"})
    code, _, error = run(f"tune run a2c {STUDY}")
    assert code == 2
    assert re.search(r"the study 'a2c-tiny' has versions\.\w+=.*; type --study with another name", error)
