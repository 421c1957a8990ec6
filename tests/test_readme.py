"""What README and the task's page tell people to type does what they say."""

import ast
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import agents
from agents.settings.layers import assignment_layer, make_settings, preset_layer, read_layer
from agents.training.fit import fit
from token_env import Task
from token_env.env import TokenEnv

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


TASK_PAGE, ENGLISH_PAGE, TUNING_PAGE = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("task.md", "english.md", "tuning.md")
)


def blocks(language, page=README):
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("python -m")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = make_settings(preset_layer("tiny"), {"device": "cpu", "episodes": 40, "evaluation": {"problems": 2}})
    return fit(settings, tmp_path_factory.mktemp("readme") / "run", progress=False).run


@pytest.mark.parametrize(
    "code", [code for page in (README, TASK_PAGE, ENGLISH_PAGE, TUNING_PAGE) for code in blocks("python", page)]
)
def test_the_python_examples_run(code, run):
    names = {"observations": np.zeros((3, agents.load(run).policy.observation_space.shape[0]), dtype=np.float32)}
    exec(code.replace("50_000", "2_048").replace("RUN", str(run)), names)
    if "tokens" in names:
        assert names["tokens"].shape == (3,)
        assert len(names["episodes"]) == 40


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


def shortened(words, folder):
    """The options that make a command of README that trains play few rollouts only, and write into this folder."""
    option = dict(pairwise(words))
    if words[2] == "agents.tune":
        few = ["--trials", "1", "--seeds", "1", "--finalists", "1", "--final-seeds", "2", "--episodes", "320"]
        return [*few, "--storage", f"journal:{folder / 'a.journal'}"]
    if words[2] != "agents.train":
        return []
    layers = [read_layer(option["--config"]) if "--config" in option else preset_layer(option["--size"])]
    layers += [assignment_layer(option["--set"])] if "--set" in option else []
    settings = make_settings(*layers, {"algorithm": words[3]})
    section = settings.hyperparameters
    episodes = section.n_envs * section.n_steps // settings.env.max_steps
    short = ["--device", "cpu", "--episodes", str(episodes), "--set", "evaluation.problems=2"]
    return [*short, "--no-progress", "--out", str(folder / "run")]


def test_readme_shows_commands():
    assert len(COMMANDS) >= 6
    assert len(blocks("python")) == 3


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_run(line, tmp_path):
    words = line.split()
    command = [sys.executable, *words[1:], *shortened(words, tmp_path)]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert ("agents.tune export" if words[2] == "agents.tune" else "greedy") in out.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_demo_trains_on_pythons_documentation_and_shows_real_words(tmp_path):
    assert "make demo" in README
    options = f"--device cpu --episodes 40 --set evaluation.problems=3 --out {tmp_path / 'run'}"
    interpreter = Path(sys.executable).parent
    command = ["make", f"BIN={interpreter}", f"DEMO_TEXT={tmp_path / 'text.txt'}", f"DEMO_OPTIONS={options}", "demo"]
    ready = ["-o", ".venv/ready"]  # the environment that runs this test is ready
    out = subprocess.run(
        [command[0], *ready, *command[1:]], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"MAKEFLAGS": ""}
    )
    assert out.returncode == 0, out.stderr
    assert "agent (greedy)" in out.stdout
    assert agents.load(tmp_path / "run").language.surface[0] == "the"
    assert (tmp_path / "run" / "learning_curve.png").exists()
    message = next(line for line in out.stdout.splitlines() if line.startswith("message"))
    assert set(message.split()[1:]) <= set(agents.load(tmp_path / "run").language.surface)


def test_links_point_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
