"""Two exported models behind one function: without torch, by a split that is kept, with a log that is whole."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import agents
from agents.evaluation.agent import Player
from agents.evaluation.deployment_log import read_log
from agents.exports.onnx_file import onnx_bytes
from examples import ab_deployment
from examples.ab_deployment import Deployment, latencies, main, variant_of
from tests.support.models import make_run, moved
from token_env import Task, evaluate

ROOT = Path(__file__).parents[3]
KINDS = {
    "plain": {"head": "stock"},
    "masked": {"algorithm": "maskable-ppo", "head": "stock", "env": {"vocab_size": 100, "max_steps": 12}},
    "recurrent": {"algorithm": "recurrent-ppo", "head": "fast"},
}

# Refuses what a server does not have, and proves that it does.
WITHOUT_TORCH = """
import importlib.abc, runpy, sys
class Refuses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "stable_baselines3", "sb3_contrib", "agents", "pandas"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuses())
try:
    import torch
except ImportError:
    runpy.run_module("examples.ab_deployment", run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """By kind an agent and the file of its model."""
    folder = tmp_path_factory.mktemp("exported")
    made = {}
    for kind, keywords in KINDS.items():
        agent = moved(agents.load(make_run(folder / kind, **keywords)))
        made[kind] = agent, folder / f"{kind}.onnx"
        made[kind][1].write_bytes(onnx_bytes(agent))
    return made


@pytest.fixture
def deployment(exported, tmp_path):
    return Deployment(exported["plain"][1], exported["masked"][1], 0.5, tmp_path / "log.jsonl")


@pytest.mark.parametrize("kind", KINDS)
def test_a_deployed_model_says_what_its_agent_says(exported, tmp_path, kind):
    agent, path = exported[kind]
    deployment = Deployment(exported["plain"][1], path, 0.5, tmp_path / "log.jsonl")
    task = Task(vocab_size=64, max_steps=8, split="test")
    expected = evaluate(Player(agent, ranks=64), range(10), task=task)
    for problem, tokens, earned in zip(range(10), expected.actions, expected.returns, strict=True):
        deployed_tokens, deployed_return = deployment.play(deployment.models["B"], problem)
        assert deployed_tokens == tokens.tolist()
        assert deployed_return == pytest.approx(earned)


def test_it_runs_without_torch_and_its_log_gives_a_verdict(exported, tmp_path):
    files = [str(exported[kind][1]) for kind in ("plain", "masked")]
    words = [*files, "--requests", "40", "--seed", "3", "--log", str(tmp_path / "log.jsonl")]
    out = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *words], cwd=ROOT, capture_output=True, text=True)
    assert (out.returncode, out.stderr) == (0, "")
    assert "40 answers" in out.stdout
    log = read_log(tmp_path / "log.jsonl")
    assert (len(log.a.returns) + len(log.b.returns), log.skipped_lines) == (40, "")
    deployment = Deployment(*(Path(file) for file in files), 0.5, tmp_path / "again.jsonl")
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["variant"] == variant_of(row["request"], 0.5, deployment.experiment)
        assert row["model"] == deployment.models[row["variant"]].checksum
        assert deployment.answer(row["request"], row["problem"]) == row["tokens"]
        assert row["latency_ms"] > 0


def test_who_answers_never_changes():
    """Neither with the process nor with the version: a request that is repeated tomorrow meets the same model."""
    assert "".join(variant_of(f"request {number}", 0.5, "models") for number in range(16)) == "BBBAABABAAAABBAA"


@pytest.mark.parametrize("share_b", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_split_is_close_to_the_share(share_b):
    answered = np.array([variant_of(f"request {number}", share_b, "models") == "B" for number in range(20_000)])
    assert abs(answered.mean() - share_b) <= 4 * np.sqrt(share_b * (1 - share_b) / 20_000)
    again = np.array([variant_of(f"request {number}", share_b, "others") == "B" for number in range(20_000)])
    both = (answered & again).mean()
    assert both == pytest.approx(share_b**2, abs=0.015)  # of another experiment nothing is known


def test_a_larger_share_takes_nobody_from_b():
    small, large = ([variant_of(f"{number}", share, "x") == "B" for number in range(2_000)] for share in (0.1, 0.3))
    assert all(now or not before for before, now in zip(small, large, strict=True))


def test_what_a_crash_has_left_of_a_line_is_cut(deployment):
    deployment.answer("one", 1)
    with deployment.log.open("a") as file:
        file.write('{"request": "to')
    deployment.answer("two", 2)
    rows = [json.loads(line) for line in deployment.log.read_text().splitlines()]
    assert [(row["request"], row["problem"]) for row in rows] == [("one", 1), ("two", 2)]


def test_a_writer_waits_until_another_has_ended_its_line(deployment):
    with deployment.log.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(b"half a line, ")
        other.flush()
        writer = Thread(target=deployment._append, args=(b"mine\n",))
        writer.start()
        writer.join(0.3)
        other.write(b"and the rest\n")
    writer.join()
    assert deployment.log.read_bytes() == b"half a line, and the rest\nmine\n"


def test_latencies_are_told_of_both_for_one_row_and_many(exported, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ab_deployment, "ROWS", (1, 3))
    monkeypatch.setattr(ab_deployment, "REPEATS", 2)
    files = [str(exported[kind][1]) for kind in ("recurrent", "masked")]
    found = latencies(Deployment(*map(Path, files), 0.5, tmp_path / "log.jsonl"))
    assert list(found) == [("A", 1), ("B", 1), ("A", 3), ("B", 3)]
    assert all(len(taken) == 2 and min(taken) > 0 for taken in found.values())
    main([*files, "--latency", "--log", str(tmp_path / "log.jsonl")])
    assert capsys.readouterr().out.count(" ms a call, ") == 4
    assert not (tmp_path / "log.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("plain none", "No such file or directory"),
        ("plain nonsense", "is not a model of python -m agents.export"),
        ("plain masked --share-b 2", "share_b is 2; it must be from 0 to 1."),
        ("plain other", "the models have different languages"),
        ("plain wider", "or different observations"),
        ("plain masked --log none/log.jsonl", "none/log.jsonl"),
    ],
)
def test_what_cannot_be_deployed_is_refused(exported, tmp_path, monkeypatch, capsys, words, message):
    (tmp_path / "nonsense.onnx").write_bytes(b"nonsense")
    if {"other", "wider"} & set(words.split()):
        env = {"language_seed": 1} if "other" in words else {"lookahead": 2}
        kind = words.split()[1]
        (tmp_path / f"{kind}.onnx").write_bytes(
            onnx_bytes(agents.load(make_run(tmp_path / kind, head="stock", env=env)))
        )
    monkeypatch.chdir(tmp_path)
    a, b, *options = words.split()
    files = [str(exported[kind][1] if kind in exported else tmp_path / f"{kind}.onnx") for kind in (a, b)]
    with pytest.raises(SystemExit) as end:
        main([*files, "--requests", "1", *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "decisions.jsonl").exists()
