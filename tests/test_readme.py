"""What README and the task's page tell people to type does what they say."""

import ast
import dataclasses
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import agents
from agents.settings.layers import make_settings, preset_layer
from agents.training.fit import fit
from tests.support.commands import run_line
from token_env import Task
from token_env.env import TokenEnv

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


TASK_PAGE, EPISODES_PAGE, ENGLISH_PAGE, TUNING_PAGE, POLICIES_PAGE = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "docs/reference/task.md",
        "docs/guides/episodes.md",
        "docs/reference/english.md",
        "docs/guides/tuning.md",
        "docs/guides/policies.md",
    )
)


def blocks(language, page=README):
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("python -m")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = make_settings(preset_layer("tiny"), {"device": "cpu", "episodes": 40, "evaluation": {"problems": 2}})
    return fit(settings, tmp_path_factory.mktemp("readme") / "run", progress=False).run


SHORTER = {  # where the pages train for longer
    "50_000": "64",
    '"token_env:TokenTask-v0")': '"token_env:TokenTask-v0", n_steps=64)',
    '"episodes": 80': '"episodes": 16',
}


@pytest.mark.parametrize(
    "code",
    [code for page in (README, TASK_PAGE, ENGLISH_PAGE, TUNING_PAGE, POLICIES_PAGE) for code in blocks("python", page)],
)
def test_the_python_examples_run(code, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"observations": np.zeros((3, agents.load(run).policy.observation_space.shape[0]), dtype=np.float32)}
    for written, shorter in SHORTER.items():
        code = code.replace(written, shorter)
    exec(code.replace("RUN", str(run)), names)
    if "tokens" in names:
        assert names["tokens"].shape == (3,)
        assert len(names["episodes"]) == 40


def test_the_page_of_episodes_reads_what_it_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in blocks("python", EPISODES_PAGE):
        exec(code, names)
    assert len(names["dataset"]) == 100
    assert names["env"].unwrapped.task == names["task"]


def test_the_tasks_page_has_every_keyword_with_its_default():
    table = TASK_PAGE.partition("## Arguments")[2].partition("## ")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines() if line.startswith("| `")]
    told = {}
    for names, defaults in cells:
        told |= zip(re.findall(r"`(\w+)`", names), ast.literal_eval(f"[{defaults}]"), strict=True)
    assert told == dataclasses.asdict(Task()) | {"render_mode": None}


@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_the_tasks_page_tells_the_shape_of_observations(kind):
    shape = TokenEnv(observation=kind).observation_space.shape
    assert f"`Box` of shape `{shape}`" in TASK_PAGE.partition("## Description")[0]


FEWER = "--seeds 1 --finalists 1 --final-seeds 2 --workers 1"
OPTIONS = {  # the last of an option that is given twice counts
    "train ppo": "--device cpu --episodes 40 --set evaluation.problems=2 --no-progress",
    "train --resume": "--device cpu --episodes 80 --no-progress",
    "evaluate": "--problems 2",
    "tune run": f"--trials 1 --episodes 40 --set evaluation.problems=2 {FEWER}",
    "doctor": "--size tiny",
}
OUTPUT = {"tune": "agents.tune export", "doctor": "Training runs on", "watch": "return"}


def shortened(line):
    """A command of README with a small task and little work."""
    words = line.removeprefix("python -m agents.").replace("--size fast", "--size tiny")
    return words + " " + next((options for command, options in OPTIONS.items() if words.startswith(command)), "")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_commands_of_readme_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 6
    for line in COMMANDS:
        module, *words = shortened(line).split()
        monkeypatch.setattr(sys, "argv", [module, *words])
        with pytest.raises(SystemExit) as end:
            runpy.run_module(f"agents.{module}", run_name="__main__")
        out, err = capsys.readouterr()
        assert not end.value.code, f"{line}: {err}"
        assert OUTPUT.get(module, "greedy") in out


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_demo_trains_on_pythons_documentation_and_shows_real_words(tmp_path, monkeypatch, capsys):
    assert "make demo" in README
    options = (
        f"--device cpu --episodes 40 --set env.vocab_size=300 --set evaluation.problems=3 --out {tmp_path / 'run'}"
    )
    interpreter = Path(sys.executable).parent
    command = ["make", f"BIN={interpreter}", f"DEMO_TEXT={tmp_path / 'text.txt'}", f"DEMO_OPTIONS={options}", "demo"]
    # The environment that runs this test is ready.
    ready = ["--just-print", "--no-print-directory", "-o", ".venv/ready"]
    environment = os.environ | {"MAKEFLAGS": ""}
    out = subprocess.run([*command, *ready], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert out.returncode == 0, out.stderr
    *preparations, training = out.stdout.splitlines()
    subprocess.run("\n".join(preparations), shell=True, check=True, cwd=tmp_path)
    typed = f"{interpreter}/python -m agents."
    assert training.startswith(f"{typed}train ")
    code, told, error = run_line(training.removeprefix(typed), monkeypatch, capsys)
    assert code == 0, error
    assert "agent (greedy)" in told
    assert agents.load(tmp_path / "run").language.surface[0] == "the"
    assert (tmp_path / "run" / "learning_curve.png").exists()
    message = next(line for line in told.splitlines() if line.startswith("message"))
    assert set(message.split()[1:]) <= set(agents.load(tmp_path / "run").language.surface)


def test_links_point_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
