"""What docs/guides/own.md tells people to type does what it says: their own size, reward, algorithm and text."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import agents
from agents.training.fit import fit
from tests.support.settings import quick_settings
from token_env.rules import rewards

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "guides" / "own.md").read_text(encoding="utf-8")
SHORTER = "--device cpu --no-progress --set evaluation.problems=2 --set checkpoints.validations=0"
OPTIONS = {"train": SHORTER, "evaluate": "--problems 2"}
# The page trains for a minute.
FEWER = {"--episodes 400": "--episodes 40", "--episodes 800": "--episodes 80", "episodes: 400": "episodes: 40"}


def section(title):
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    for printed, fewer in FEWER.items():
        text = text.replace(printed, fewer)
    return text


@pytest.fixture
def typed(type_page, monkeypatch):
    """Save the files of a section and run its lines one after another in an empty directory; return the outputs."""
    monkeypatch.setattr(rewards, "_imported", {})
    yield lambda title: type_page(section(title), OPTIONS)
    sys.modules.pop("rewards", None)


def test_a_file_alone_is_a_size(typed, tmp_path):
    typed("Your own size")
    settings = agents.load(tmp_path / "runs" / "size").settings
    assert (settings.name, settings.env.vocab_size, settings.env.max_steps) == ("own", 128, 10)
    assert settings.ppo.ent_coef == 0.0  # SB3's, not fast's


def test_a_reward_is_played_without_its_code_and_resumed_with_it(typed, tmp_path):
    outputs = typed("Your own reward")
    run_path = tmp_path / "runs" / "reward"
    assert agents.load(run_path).settings.env.reward == "rewards:careful"
    assert len(agents.load_metrics(run_path).episodes) == 80
    assert "step 8 of 8" in outputs[2][1]


def test_a_run_of_a_text_needs_the_text_no_more(typed, tmp_path):
    typed("Your own text")
    assert not (tmp_path / "own.txt").exists()
    (moved,) = (path for path in (tmp_path / "runs").iterdir() if path.name != "text")
    first, second = agents.load(tmp_path / "runs" / "text"), agents.load(moved)
    assert first.language.fingerprint == second.language.fingerprint
    assert second.settings.from_run == str(tmp_path / "runs" / "text")


def test_an_algorithm_touches_two_files(tmp_path):
    for package in ("agents", "configs", "token_env"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (patch,) = re.findall(r"```diff\n(.*?)```", section("Your own algorithm"), re.DOTALL)
    files = re.findall(r"^\+\+\+ b/(.*)$", patch, re.MULTILINE)
    assert files == ["agents/settings/schema.py", "agents/algorithms/table.py"]
    for file, hunk in zip(files, re.split(r"^@@.*\n", patch, flags=re.MULTILINE)[1:], strict=True):
        lines = hunk.partition("\n--- ")[0].splitlines()
        old, new = ("\n".join(line[1:] for line in lines if not line.startswith(sign)) for sign in "+-")
        content = (tmp_path / file).read_text(encoding="utf-8")
        assert content.count(old) == 1
        (tmp_path / file).write_text(content.replace(old, new), encoding="utf-8")
    line = f"-m agents.train clipped-ppo --size tiny --episodes 40 {SHORTER} --out runs/algorithm"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, *line.split()], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "clipped-ppo tiny seed 0" in ended.stdout


NAMED = {"env": {"reward": "rewards_nobody_typed:mine"}}


@pytest.mark.parametrize(
    "line", ["train ppo --config named.yaml --size tiny", "train --resume r --episodes 32 --allow-change"]
)
def test_no_settings_import_a_reward_that_nobody_typed(line, run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(rewards, "_imported", {"rewards_nobody_typed:mine": lambda t: t.adequacy})
    trained = fit(quick_settings(**NAMED), tmp_path / "r", progress=False).run
    (trained / "rewards_nobody_typed.py").write_text("raise SystemExit('it ran')")
    monkeypatch.setattr(rewards, "_imported", {})
    (tmp_path / "named.yaml").write_text("env: {reward: 'rewards_nobody_typed:mine'}")
    monkeypatch.syspath_prepend(trained)
    before = sorted(tmp_path.rglob("*"))
    assert run("evaluate r --problems 2")[0] == 0
    code, _, error = run(f"{line} --no-progress --device cpu")
    assert code == 2, error
    assert "type --reward rewards_nobody_typed:mine" in error
    assert sorted(tmp_path.rglob("*")) == before
