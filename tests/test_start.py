"""What the pages for beginners tell people to type does what they say, in their order."""

import ast
from pathlib import Path

import agents
from token_env.env import TokenEnv

ROOT = Path(__file__).parent.parent
INSTALL, TRAINING, RUN = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("docs/start/install.md", "docs/start/first_training.md", "docs/start/read_a_run.md")
)
# The pages train on fast, for a minute each.
QUICK = "--size tiny --device cpu --episodes 40 --set evaluation.problems=2 --no-progress"
OPTIONS = {"train ppo": QUICK, "train --resume": "--no-progress", "evaluate": "--problems 2"}
FEWER = {"--episodes 4000": "--episodes 80", "range(100)": "range(2)", 'Task(split="test"': 'Task(64, 8, split="test"'}


def shortened(text):
    for printed, fewer in FEWER.items():
        text = text.replace(printed, fewer)
    return text


def test_from_an_installation_to_a_longer_training(type_page, tmp_path):
    ((_, shape),) = type_page(shortened(INSTALL), OPTIONS)
    assert ast.literal_eval(shape) == TokenEnv().observation_space.shape
    assert shape in INSTALL
    table, episode, scores, program = (output for _, output in type_page(shortened(TRAINING), OPTIONS))
    for policy in ("optimal", "lookahead", "agent (greedy)", "fluent", "verbatim", "random"):
        assert policy in table
        assert policy in TRAINING
    assert "step 8 of 8" in episode
    assert "agent (greedy)" in scores
    assert program.startswith("score ")
    metrics, _, comparison, _ = (output for _, output in type_page(shortened(RUN), OPTIONS))
    assert "distinct_tokens" in metrics
    assert "difference" in comparison
    assert len(agents.load_metrics(tmp_path / "runs" / "first").episodes) == 80


def test_a_run_has_the_files_of_the_page(type_page, tmp_path):
    type_page(shortened(TRAINING), OPTIONS)
    rows = [line.split("|") for line in RUN.splitlines() if line.startswith("|")][2:]
    names = [row[2].split("`")[1] for row in rows]
    assert len(names) == 6
    assert [name for name in names if not (tmp_path / "runs" / "first" / name).exists()] == []
