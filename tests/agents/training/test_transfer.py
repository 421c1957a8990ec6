"""Starting from another run: what was learned is carried over and does at first what it did."""

import hashlib
import json

import numpy as np
import pytest
import torch

import agents
from agents.algorithms.models import build_policy
from agents.runs import run_dir
from agents.settings.layers import make_settings, preset_layer, read_layer
from agents.training.fit import fit
from agents.training.transfer import copy_parameter, copy_policy
from tests.support.models import saved
from token_env import Dynamics, SettingError

SHORT = {"device": "cpu", "episodes": 80, "evaluation": {"problems": 2}}
LARGER = {
    "env": {"vocab_size": 200, "max_steps": 10},
    "policy": {"hidden": [96, 80]},
    "ppo": {"n_steps": 10, "batch_size": 50},
}
PLAIN = {"policy": {"head": "stock"}}
VARIANTS = {
    "stock": PLAIN,
    "fast": {"policy": {"head": "fast"}},
    "ids": {"env": {"observation": "tokens"}, "policy": {"embedding": 8, "head": "fast"}},
}


def make_policy(*layers):
    """An untrained policy of tiny with these settings."""
    settings = make_settings(preset_layer("tiny"), *layers)
    return build_policy(settings, Dynamics(settings.env))


def as_if_trained(policy):
    """The policy with other weights everywhere; but for slopes and places, whose steps are large."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in policy.named_parameters():
        if not name.endswith(("slopes", "places")):
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return policy


def outputs(policy, count=50):
    """Logits [N, V] and values [N] for observations that a policy of 64 tokens may meet, at the first step."""
    generator, space = np.random.default_rng(0), policy.observation_space
    if space.dtype == np.float32:
        seen = generator.uniform(space.low, space.high, size=(count, *space.shape)).astype(np.float32)
    else:
        seen = generator.integers(64, size=(count, *space.shape))
        seen[:, -1] = 0
    observations, _ = policy.obs_to_tensor(seen)
    with torch.no_grad():
        logits = policy.get_distribution(observations).distribution.logits
        return logits.numpy(), policy.predict_values(observations).numpy()[:, 0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_larger_policy_keeps_the_values_and_the_logits_of_shared_tokens_but_for_a_constant(variant):
    small, large = as_if_trained(make_policy(VARIANTS[variant])), make_policy(VARIANTS[variant], LARGER)
    copy_policy(small, large)
    (before, values_before), (logits, values) = outputs(small), outputs(large)
    assert (before.shape, logits.shape) == ((50, 64), (50, 200))
    assert np.ptp(before, axis=1).min() > 0.5
    added = logits[:, :64] - before
    np.testing.assert_allclose(added, np.tile(added[:, :1], 64), atol=1e-4)
    np.testing.assert_allclose(values, values_before, atol=1e-5)


@pytest.mark.parametrize("heads", [("tied", "tied"), ("tied", "planning"), ("planning", "planning")])
def test_a_tied_head_is_carried_over_as_it_is_and_may_begin_to_plan(heads):
    wider = {"policy": {"hidden": [96, 80]}}
    small, large = (
        make_policy(layer, {"policy": {"head": head}}) for layer, head in zip(({}, wider), heads, strict=True)
    )
    copy_policy(as_if_trained(small), large)
    ours, theirs = (dict(policy.mlp_extractor.head.named_parameters()) for policy in (large, small))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    if heads[0] == heads[1]:
        for before, after in zip(outputs(small), outputs(large), strict=True):
            np.testing.assert_allclose(after, before, atol=1e-4)


def test_new_tokens_and_units_start_as_those_of_a_new_policy():
    small, large = as_if_trained(make_policy(PLAIN)), make_policy(PLAIN, LARGER)
    fresh = {name: parameter.detach().clone() for name, parameter in large.named_parameters()}
    copy_policy(small, large)
    assert torch.equal(large.action_net.weight[64:], fresh["action_net.weight"][64:])
    assert torch.equal(large.mlp_extractor.policy_net[0].weight[64:], fresh["mlp_extractor.policy_net.0.weight"][64:])
    assert large.action_net.weight[64:].any()
    assert not large.action_net.weight[:64, 64:].any()


def test_a_parameter_goes_into_the_first_rows_and_columns_and_the_rest_of_these_rows_is_zero():
    parameter = torch.full((3, 3), 7.0)
    copy_parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), parameter)
    assert parameter.tolist() == [[1, 2, 0], [3, 4, 0], [7, 7, 7]]
    gates = torch.full((4,), 7.0)
    copy_parameter(torch.tensor([1.0, 2.0]), gates, blocks=2)
    assert gates.tolist() == [1, 7, 2, 7]


@pytest.mark.parametrize("head", ["stock", "fast"])
def test_a_policy_with_a_wider_lstm_says_what_the_smaller_says(head):
    """At the second step too, when there is something to remember."""
    recurrent = {"algorithm": "recurrent-ppo", "policy": {"head": head}}
    small, large = (
        make_policy(recurrent, layer, {"recurrent_ppo": {"lstm_hidden_size": units}})
        for layer, units in (({}, 8), (LARGER, 13))
    )
    copy_policy(as_if_trained(small), large)
    seen = torch.rand((2, 30, 51), generator=torch.Generator().manual_seed(0))
    told = []
    for policy, units in ((small, 8), (large, 13)):
        state = (torch.zeros(1, 30, units), torch.zeros(1, 30, units))
        with torch.no_grad():
            values = policy.predict_values(seen[0], state, torch.ones(30))
            _, state = policy.get_distribution(seen[0], state, torch.ones(30))
            logits = policy.get_distribution(seen[1], state, torch.zeros(30))[0].distribution.logits[:, :64]
        told.append((logits.log_softmax(dim=1).numpy(), values.numpy()))
    for before, after in zip(*told, strict=True):
        np.testing.assert_allclose(before, after, atol=1e-4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run of tiny."""
    return fit(
        make_settings(preset_layer("tiny"), SHORT, PLAIN), tmp_path_factory.mktemp("runs") / "first", progress=False
    )


def settings_from(finished, *layers):
    return make_settings(preset_layer("tiny"), SHORT, PLAIN, {"from_run": str(finished.run)}, *layers)


def test_a_run_starts_from_another_and_says_so(finished, tmp_path):
    still = {"ppo": {"learning_rate": 1e-30}}  # so that what it ends with is what it began with
    result = fit(settings_from(finished, still), tmp_path / "second", progress=False)
    for ours, theirs in zip(outputs(result.agent.policy), outputs(finished.agent.policy), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    weights = (finished.run / run_dir.WEIGHTS).read_bytes()
    told = json.loads((result.run / "run.json").read_text())["from"]
    assert told == {"run": str(finished.run), "weights_sha256": hashlib.sha256(weights).hexdigest()}
    assert read_layer(str(result.run / "config.yaml"))["from_run"] == str(finished.run)


@pytest.mark.parametrize(("first", "second"), [("ppo", "grpo"), ("grpo", "ppo"), ("a2c", "maskable-ppo")])
def test_another_algorithm_goes_on_with_the_same_layers(first, second, tmp_path):
    run = saved(tmp_path / "first", algorithm=first, policy={"head": "fast"})
    still = {"learning_rate": 1e-30}  # so that what it ends with is what it began with
    layer = {"algorithm": second, "policy": {"head": "fast"}, "from_run": str(run), "ppo": still, "grpo": still}
    result = fit(make_settings(preset_layer("tiny"), SHORT, layer), tmp_path / "second", progress=False)
    ours, theirs = (dict(agents.load(path).policy.named_parameters()) for path in (result.run, run))
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-20)


def test_a_larger_run_starts_from_a_smaller_and_is_loaded_without_it(finished, tmp_path):
    result = fit(settings_from(finished, LARGER, {"policy": {"head": "fast"}}), tmp_path / "run", progress=False)
    moved = finished.run.rename(finished.run.with_name("moved"))
    try:
        assert agents.load(result.run).policy.action_net.out_features == 200
    finally:
        moved.rename(finished.run)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"algorithm": "recurrent-ppo"},
            r"with ppo, whose layers are not those of recurrent-ppo; .* agents\.train ppo",
        ),
        ({"env": {"vocab_size": 40}}, r"has 64 tokens, more than the 40 of this task"),
        ({"policy": {"hidden": [64, 32]}}, r"hidden layers of \[64,64\] units, which do not fit into \[64,32\]"),
        ({"policy": {"hidden": [64]}}, r"which do not fit into \[64\]; type --set policy\.hidden=\[64,64\]"),
        ({"policy": {"activation": "relu"}}, r"has policy\.activation=tanh, not relu"),
        ({"policy": {"head": "tied"}}, r"has policy\.head=stock, not tied"),
        ({"env": {"observation": "tokens"}}, r"has env\.observation=features, not tokens"),
        ({"env": {"language_seed": 1}}, r"was trained on another language.* first tokens of this synthetic language"),
        ({"env": {"language": "english"}}, r"first tokens of this english language"),
        ({"env": {"lookahead": 2}}, r"observations of 51 columns; this task has 68"),
        ({"env": {"reward": "terminal"}}, r"observations of 51 columns; this task has 52"),
        ({"from_run": "none"}, r"there is no directory .*none'"),
    ],
)
def test_a_run_that_does_not_fit_is_refused_and_nothing_is_written(finished, layer, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        fit(settings_from(finished, layer), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_larger_lstm_is_refused_with_what_to_type(tmp_path):
    recurrent = {"algorithm": "recurrent-ppo", "episodes": 40, "recurrent_ppo": {"lstm_hidden_size": 8}}
    run = saved(tmp_path / "first", **recurrent)
    smaller = {"from_run": str(run), "recurrent_ppo": {"lstm_hidden_size": 7}}
    with pytest.raises(SettingError, match=r"LSTM of 8 units, .* --set recurrent_ppo\.lstm_hidden_size=8, or more"):
        fit(make_settings(preset_layer("tiny"), SHORT, recurrent, smaller), tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_layers_that_no_setting_names_must_fit_too(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.training.transfer.load", lambda run: WiderThanTold(finished.agent))
    with pytest.raises(SettingError, match=r"the layers of .* do not fit"):
        fit(settings_from(finished), tmp_path / "run")


class WiderThanTold:
    """An agent whose policy is wider than its settings say."""

    def __init__(self, agent):
        self.settings, self.language = agent.settings, agent.language
        self.policy = make_policy({"policy": {"hidden": [65, 64]}})
