"""What is exported says what the agent says."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors
import torch
import yaml

import agents
from agents import export as exporting
from agents.algorithms.models import build_policy
from agents.algorithms.table import ALGORITHMS
from agents.cli.console import WRONG_INPUT
from agents.evaluation.agent import Agent
from agents.export import export
from agents.exports.onnx_file import OnnxPlayer, onnx_bytes
from agents.exports.parity import AgreementPlayer, count_disagreements
from agents.policies.tied_head import PlainTiedHead, TiedHead
from agents.runs import model_card, run_dir
from agents.settings.layers import make_settings, preset_layer
from agents.training.fit import fit
from tests.support.models import make_run, moved
from token_env import Dynamics, evaluate
from token_env.rules.task import with_split

# An algorithm for each signature of a model: with masks, with memory, or with neither.
TRACED = {(row.uses_mask, row.recurrent): name for name, row in ALGORITHMS.items()}.values()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An agent of this algorithm, head and observation, and its ONNX model."""

    @cache
    def exported(algorithm, head, kind):
        run = tmp_path_factory.mktemp("exported") / "run"
        agent = moved(agents.load(make_run(run, algorithm, head, env={"observation": kind})))
        return agent, onnx_bytes(agent)

    return exported


@pytest.mark.parametrize(
    ("algorithm", "head", "kind"),
    [
        *((algorithm, "planning", "features") for algorithm in TRACED),
        ("ppo", "stock", "features"),
        ("recurrent-ppo", "fast", "tokens"),
    ],
)
def test_an_onnx_model_says_what_the_agent_says(exported, algorithm, head, kind):
    agent, content = exported(algorithm, head, kind)
    assert count_disagreements(agent, OnnxPlayer(content)) == (0, 1000)


@pytest.mark.parametrize("algorithm", TRACED)
def test_logits_of_an_onnx_model_are_the_agents_for_any_number_of_rows(exported, algorithm):
    agent, content = exported(algorithm, "planning", "features")
    session = onnxruntime.InferenceSession(content)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["tokentask.tokens"]) == list(agent.language.surface)
    assert json.loads(metadata["tokentask.settings"])["algorithm"] == algorithm
    generator = np.random.default_rng(0)
    for rows in (1, 7):
        seen = generator.normal(size=(rows, *agent.policy.observation_space.shape)).astype(np.float32)
        given = {"observation": seen}
        masks = generator.random((rows, 64)) < 0.5
        given |= {"action_masks": masks} if agent.uses_mask else {}
        given |= dict.fromkeys(("hidden", "cell"), np.zeros((1, rows, 16), np.float32)) if agent.recurrent else {}
        logits, tokens, *_ = session.run(None, given)
        expected, _ = agent.distribution(seen, action_masks=masks if agent.uses_mask else None)
        theirs = expected.distribution.logits.log_softmax(dim=1)
        torch.testing.assert_close(torch.tensor(logits).log_softmax(dim=1), theirs, rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(tokens, logits.argmax(axis=1))
        assert not agent.uses_mask or masks[np.arange(rows), tokens].all()


def test_a_plan_of_many_tokens_becomes_a_model_of_any_number_of_rows(tmp_path):
    """Of one row the successors are fewer than the vocabulary, of seven they are more."""
    agent = moved(agents.load(make_run(tmp_path / "run", head="planning", env={"vocab_size": 200})))
    assert agent.policy.mlp_extractor.head.shortlist * 1 < 200 < agent.policy.mlp_extractor.head.shortlist * 7
    session = onnxruntime.InferenceSession(onnx_bytes(agent))
    generator = np.random.default_rng(0)
    for rows in (1, 7):
        seen = generator.normal(size=(rows, *agent.policy.observation_space.shape)).astype(np.float32)
        logits = torch.tensor(session.run(None, {"observation": seen})[0])
        theirs = agent.distribution(seen)[0].distribution.logits
        torch.testing.assert_close(logits.log_softmax(dim=1), theirs.log_softmax(dim=1), rtol=1e-4, atol=1e-3)


def test_what_a_recurrent_onnx_model_remembers_matters(exported):
    """The control of the comparison: without its memory it says something else."""
    agent, content = exported("recurrent-ppo", "fast", "tokens")
    player = OnnxPlayer(content)
    act = player.act

    def forgets(observations, episode_starts, action_masks):
        return act(observations, np.ones_like(episode_starts), action_masks)

    player.act = forgets
    assert count_disagreements(agent, player)[0] > 0


def test_the_plain_tied_head_is_the_tied_head():
    settings = make_settings(preset_layer("tiny"))
    dynamics = Dynamics(settings.env)
    agent = moved(Agent(settings, dynamics, build_policy(settings, dynamics)))
    head = agent.policy.mlp_extractor.head
    assert type(head) is TiedHead
    seen = torch.randn(9, *agent.policy.observation_space.shape)
    ours = head(seen)
    head.__class__ = PlainTiedHead
    torch.testing.assert_close(head(seen), ours, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("form", ["onnx", "sb3", "safetensors"])
def test_the_command_writes_one_file_and_checks_it(command, tmp_path, form):
    make_run(tmp_path / "run")
    code, out, error = command(export, f"run --format {form}")
    assert (code, error) == (0, "")
    (written,) = {path.name for path in tmp_path.iterdir()} - {"run"}
    assert out.startswith(f"{written}: ")
    assert "same tokens as the agent on 1,000 observations" in out


def test_safetensors_hold_the_weights_and_what_they_are_of(command, tmp_path):
    make_run(tmp_path / "run")
    command(export, "run --format safetensors --out weights.safetensors")
    with safetensors.safe_open(tmp_path / "weights.safetensors", "pt") as file:
        assert json.loads(file.metadata()["tokentask.settings"])["algorithm"] == "ppo"
        assert "mlp_extractor.head.slopes" in file.keys()  # noqa: SIM118  # it is no dictionary


def test_a_file_that_says_something_else_is_not_written(command, tmp_path, monkeypatch):
    make_run(tmp_path / "run")
    wrong = lambda agent, content: type("Wrong", (), {"act": lambda self, seen, *_: np.full(len(seen), 3)})()  # noqa: E731
    monkeypatch.setitem(exporting.FORMATS, "onnx", (".onnx", lambda agent: b"", wrong))
    code, _, error = command(export, "run --format onnx")
    assert code == WRONG_INPUT
    assert "nothing was written: the onnx file chooses another token on" in error
    assert not (tmp_path / "run.onnx").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --format pickle", "unknown format 'pickle'"),
        ("nowhere --format onnx", "no directory of a run"),
        ("run --format onnx --out run", "it is a directory"),
        ("run --format onnx --out none/x.onnx", "there is no directory 'none'"),
    ],
)
def test_what_cannot_be_exported_is_refused(command, tmp_path, words, message):
    make_run(tmp_path / "run")
    code, _, error = command(export, words)
    assert code == WRONG_INPUT
    assert message in error


def test_without_the_packages_of_the_extra_the_message_names_it(command, tmp_path, monkeypatch):
    make_run(tmp_path / "run")
    monkeypatch.setattr("agents.exports.onnx_file.find_spec", lambda name: None)
    code, _, error = command(export, "run --format onnx")
    assert code == WRONG_INPUT
    assert "pip install -c constraints.txt '.[onnx]'" in error


def test_the_comparison_asks_a_thousand_times_what_the_other_would_say(tmp_path):
    agent = moved(agents.load(make_run(tmp_path / "run")))
    asked = []

    class Other:
        def act(self, observations, episode_starts, action_masks):
            asked.append(len(observations))
            return np.zeros(len(observations), dtype=np.int64)

    beside = AgreementPlayer(agent, Other())
    evaluate(beside, range(125), task=with_split(agent.task, "test"))
    assert sum(asked) == beside.observations == 1000
    assert beside.disagreements > 100


def test_the_card_has_what_model_hubs_read(tmp_path):
    text = tmp_path / "secret_place.txt"
    text.write_text("the cat sat on the mat and the dog saw the cat " * 20)
    settings = make_settings(
        preset_layer("tiny"),
        {"device": "cpu", "episodes": 40, "evaluation": {"problems": 3}},
        {"env": {"language": f"text:{text}", "vocab_size": 8}},
    )
    result = fit(settings, tmp_path / "run", progress=False)
    content = (result.run / run_dir.CARD).read_text()
    _, front, body = content.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["library_name"] == "stable-baselines3"
    assert {"reinforcement-learning", "stable-baselines3", "ppo"} <= set(told["tags"])
    (entry,) = told["model-index"]
    (found,) = entry["results"]
    greedy = result.summary.evaluation["agent (greedy)"]
    assert found["task"]["type"] == "reinforcement-learning"
    assert found["dataset"]["type"] == "TokenTask-v0"
    assert found["metrics"][0]["type"] == "mean_reward"
    assert found["metrics"][0]["value"].startswith(f"{greedy.mean_return:.3f}")
    assert f"| agent (greedy) | {greedy.mean_return:+.3f}" in body
    assert "secret_place" not in content
    assert json.loads((result.run / run_dir.RUN).read_text())["machine"]["host"] not in body.split()


def test_a_card_of_a_run_without_an_evaluation_says_so(tmp_path):
    text = model_card.card_text(make_run(tmp_path / "run"), {})
    assert "The policy was not evaluated." in text
    assert "No record of the training exists." in text
    assert "model-index" not in text


def test_the_page_names_the_keys_of_the_metadata(exported):
    agent, content = exported("ppo", "stock", "features")
    page = (Path(__file__).parents[2] / "docs" / "reference" / "models.md").read_text(encoding="utf-8")
    written = onnxruntime.InferenceSession(content).get_modelmeta().custom_metadata_map
    named = re.findall(r"^\| `(tokentask\.\w+)` \|", page, re.MULTILINE)
    assert sorted(named) == sorted(name for name in written if name.startswith("tokentask."))
    assert json.loads(written["tokentask.tokens"]) == list(agent.language.surface)


@pytest.mark.parametrize(
    ("algorithm", "library"), [("trpo", "sb3-contrib"), ("ppo", "Stable-Baselines3"), ("grpo", "tokentask")]
)
def test_a_card_names_the_library_of_the_algorithm(tmp_path, algorithm, library):
    text = model_card.card_text(make_run(tmp_path / "run", algorithm), None)
    assert f"with {algorithm} from {library} on the environment" in text
