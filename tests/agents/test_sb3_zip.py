"""A zip of Stable-Baselines3 holds the agent; what is imported was checked before anything of it is used."""

import io
import pickle
import re
import subprocess
import sys
import zipfile

import pytest
import torch

import agents
from agents.algorithms.table import ALGORITHMS
from agents.cli.console import WRONG_INPUT
from agents.export import export
from agents.exports.sb3_zip import zip_bytes
from agents.import_sb3 import import_sb3
from tests.support.models import Bomb, make_run


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_zip_is_a_model_of_stable_baselines3_and_comes_back(command, tmp_path, algorithm):
    make_run(tmp_path / "run", algorithm)
    assert command(export, "run --format sb3 --out model.zip")[0] == 0
    code, _, error = command(import_sb3, "model.zip --like run --out back --trust")
    assert (code, error) == (0, "")
    ours, theirs = agents.load(tmp_path / "run"), agents.load(tmp_path / "back")
    for name, weight in ours.policy.state_dict().items():
        torch.testing.assert_close(theirs.policy.state_dict()[name], weight, rtol=0, atol=0)


WITHOUT_US = """
import sys
sys.modules["agents"] = sys.modules["token_env"] = None  # importing them fails
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
model = {"maskable-ppo": MaskablePPO, "grpo": PPO}[sys.argv[1]].load("model.zip", device="cpu")
print(type(model.policy).__module__, model.policy.action_net.out_features)
"""


@pytest.mark.parametrize(
    ("algorithm", "module"),
    [
        ("grpo", "stable_baselines3.common.policies"),
        ("maskable-ppo", "sb3_contrib.common.maskable.policies"),
    ],
)
def test_a_zip_of_fast_heads_is_loaded_where_this_project_is_not(tmp_path, algorithm, module):
    agent = agents.load(make_run(tmp_path / "run", algorithm, "fast"))
    (tmp_path / "model.zip").write_bytes(zip_bytes(agent))
    out = subprocess.run([sys.executable, "-c", WITHOUT_US, algorithm], cwd=tmp_path, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == [module, "64"]


def test_importing_a_zip_demands_trust(command, tmp_path):
    make_run(tmp_path / "run")
    (tmp_path / "model.zip").write_bytes(b"")
    code, _, error = command(import_sb3, "model.zip --like run --out back")
    assert code == WRONG_INPUT
    assert "type --trust if you know who made it" in error
    assert not (tmp_path / "back").exists()


def weights_archive(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def zipped(*members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *arguments, **keywords: None)  # of names that stand twice
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def inflating(name):
    return zipped((name, bytes(50_000_000)), compression=zipfile.ZIP_DEFLATED)


def planted(kind, marker, state):
    good = weights_archive(state)
    bad = dict(state)
    bad["value_net.bias"] = bad["value_net.bias"] + float("nan")
    return {
        "pickle": lambda: zipped(("policy.pth", weights_archive({"x": Bomb(marker)}))),
        "bare pickle": lambda: zipped(("policy.pth", pickle.dumps(Bomb(marker)))),
        "no zip": lambda: pickle.dumps(Bomb(marker)),
        "zip bomb": lambda: inflating("policy.pth"),
        "zip bomb inside": lambda: zipped(("policy.pth", inflating("archive/data.pkl"))),
        "path traversal": lambda: zipped(("policy.pth", good), ("../outside", b"x")),
        "path traversal inside": lambda: zipped(("policy.pth", zipped(("../outside", b"x")))),
        "duplicate": lambda: zipped(("policy.pth", good), ("policy.pth", good)),
        "not finite": lambda: zipped(("policy.pth", weights_archive(bad))),
        "another policy": lambda: zipped(("policy.pth", weights_archive({"x": torch.zeros(1)}))),
        "no weights": lambda: zipped(("data", b"{}")),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pickle", "cannot read the weights|do not fit"),
        ("bare pickle", "cannot read the weights"),
        ("no zip", "cannot read the weights"),
        ("zip bomb", "larger than the policy"),
        ("zip bomb inside", "larger than the policy|inflates to more"),
        ("path traversal", "holds '../outside'"),
        ("path traversal inside", "holds '../outside'"),
        ("duplicate", "a name twice"),
        ("not finite", "not finite"),
        ("another policy", "do not fit"),
        ("no weights", "cannot read the weights"),
    ],
)
def test_a_planted_zip_is_refused_though_it_was_trusted_and_nothing_of_it_is_executed(command, tmp_path, kind, message):
    state = agents.load(make_run(tmp_path / "run")).policy.state_dict()
    marker = tmp_path / "executed"
    (tmp_path / "model.zip").write_bytes(planted(kind, marker, state))
    code, _, error = command(import_sb3, "model.zip --like run --out back --trust")
    assert code == WRONG_INPUT
    assert re.search(message, error)
    assert not marker.exists()
    assert not (tmp_path / "back").exists()
