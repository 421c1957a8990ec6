"""Masks and memory: agents of sb3-contrib's algorithms train, play and are kept as the others are."""

import numpy as np
import pytest
import torch
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from sb3_contrib.common.maskable.distributions import MaskableCategorical
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from torch.optim import SGD, Adam, RMSprop

import agents
from agents.algorithms.mask_buffer import PackedMaskBuffer
from agents.algorithms.models import build_model, build_policy
from agents.algorithms.table import ALGORITHMS
from agents.algorithms.vec_env import TokenVecEnv
from agents.evaluation.agent import Agent, Player
from agents.evaluation.comparison import compare
from agents.evaluation.episodes import play_episode
from agents.evaluation.scores import evaluate_agent
from agents.policies.actor_critic import FastRecurrentActorCriticPolicy, TiedMixin
from agents.policies.distributions import LargeCategorical, LargeCategoricalDistribution
from agents.training.fit import fit
from tests.support.models import untrained_variant, variant_settings
from token_env import Dynamics, SettingError, evaluate
from token_env.episodes.batch import Batch

HEADS = ("stock", "fast", "planning")
TINY = {"vocab_size": 64, "max_steps": 8}
SMALL = {"n_envs": 4, "n_steps": 8, "batch_size": 16}


def actor_of(policy):
    """The module that computes the logits."""
    return policy.mlp_extractor.head if isinstance(policy, TiedMixin) else policy.action_net


def model_of(algorithm, head="fast", **env):
    settings = variant_settings(algorithm, head, **env)
    batch = TokenVecEnv(4, **TINY | env)
    batch.seed(0)
    return build_model(settings, batch, Dynamics(settings.env), "cpu")


def loss_from_its_parts(settings, updates):
    """Policy, entropy and value loss together, of each update."""
    if settings.algorithm == "trpo":  # whose value is learned apart
        return -updates.policy_objective
    section = settings.hyperparameters
    policy_loss = updates["policy_loss" if settings.algorithm == "a2c" else "policy_gradient_loss"]
    value_loss = 0.0 if settings.algorithm == "grpo" else section.vf_coef * updates.value_loss
    return policy_loss + section.ent_coef * updates.entropy_loss + value_loss


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_update_changes_the_policy_and_what_is_saved_is_loaded_again(algorithm, head, tmp_path):
    settings = variant_settings(algorithm, head)
    torch.manual_seed(0)
    before = build_policy(settings, Dynamics(settings.env)).state_dict()
    result = fit(settings, tmp_path / "run", progress=False)
    loaded = agents.load(result.run)
    assert type(loaded.policy) is ALGORITHMS[algorithm].policies[head]
    after = loaded.policy.state_dict()
    assert before.keys() == after.keys()
    actor = "mlp_extractor.head.slopes" if head == "planning" else "action_net.bias"
    assert not torch.equal(before[actor], after[actor])
    updates = agents.load_metrics(result.run).updates
    assert len(updates) == 1
    assert updates.loss.to_numpy() == pytest.approx(loss_from_its_parts(settings, updates).to_numpy())
    seen = TokenVecEnv(6, **TINY).reset()
    np.testing.assert_array_equal(loaded.logits(seen), result.agent.logits(seen))
    np.testing.assert_array_equal(loaded.predict(seen)[0], result.agent.predict(seen)[0])
    assert evaluate_agent(loaded, "test", range(9)) == evaluate_agent(result.agent, "test", range(9))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_with_a_tied_head_every_algorithm_begins_with_what_the_language_says(algorithm):
    uses_mask = ALGORITHMS[algorithm].uses_mask
    settings = variant_settings(algorithm, "tied" if uses_mask else "planning")  # a plan would avoid what is masked
    dynamics = Dynamics(settings.env)
    problems = dynamics.problems.draw(np.arange(30))
    agent = Agent(settings, dynamics, build_policy(settings, dynamics))
    logits = agent.logits(dynamics.observe(problems, dynamics.initial(problems)))
    language = dynamics.language
    expected = language.context[problems.start] @ language.output.T + language.log_unigram
    if uses_mask:
        legal = dynamics.legal(dynamics.initial(problems))
        logits, expected = (np.where(legal, each, -np.inf) for each in (logits, expected))
    torch.testing.assert_close(
        torch.tensor(logits).log_softmax(dim=1), torch.tensor(expected).log_softmax(dim=1).float(), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("head", HEADS)
def test_a_masked_token_is_never_said_in_training(head):
    model = model_of("maskable-ppo", head, mask_budget=2.5)
    with torch.no_grad():
        for parameter in actor_of(model.policy).parameters():
            parameter.normal_(std=3.0)
    _, callback = model._setup_learn(64)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, 8)
    (samples,) = model.rollout_buffer.get()
    allowed = samples.action_masks.bool()
    assert 0 < allowed.float().mean() < 0.3
    assert allowed.gather(1, samples.actions.long()).all()
    probabilities = model.policy.get_distribution(samples.observations, allowed).distribution.logits.softmax(dim=1)
    assert probabilities[~allowed].max() == 0.0


@pytest.mark.parametrize("head", HEADS)
def test_a_maskable_agent_is_evaluated_with_masks_unless_they_are_removed(head):
    agent = untrained_variant("maskable-ppo", head, mask_budget=2.5)
    players = {
        (deterministic, masked): Player(agent, deterministic, masked)
        for deterministic in (True, False)
        for masked in (None, False)
    }
    dynamics = agent.dynamics
    problems = dynamics.problems.draw(np.arange(40))
    for (_, masked), player in players.items():
        said = evaluate(player, range(40), task=agent.task).actions
        state, illegal = dynamics.initial(problems), 0
        for tokens in said.T:
            illegal += (~dynamics.legal(state)[np.arange(40), tokens]).sum()
            state = dynamics.transition(problems, state, tokens).next_state
        assert (illegal == 0) == (masked is None or head == "planning")  # whose plan keeps to the masks itself


def test_watching_and_comparing_keep_to_the_masks():
    agent = untrained_variant("maskable-ppo", mask_budget=2.5)
    *_, batch = play_episode(agent.greedy, agent.task, 3)
    expected = evaluate(agent.greedy, [3], task=agent.task)
    np.testing.assert_array_equal(batch.tokens, expected.actions)
    assert (expected.actions != evaluate(Player(agent, masked=False), [3], task=agent.task).actions).any()
    comparison = compare(agent, untrained_variant("ppo", mask_budget=2.5), "test", range(20))
    np.testing.assert_array_equal(comparison.a.actions, evaluate(agent.greedy, range(20), task=agent.task).actions)


def test_an_agent_of_more_tokens_keeps_to_the_masks_of_fewer():
    large = untrained_variant("maskable-ppo", vocab_size=200, mask_budget=2.5)
    comparison = compare(untrained_variant("maskable-ppo", mask_budget=2.5), large, "test", range(20))
    dynamics = Dynamics(comparison.task)
    problems = dynamics.problems.draw(np.arange(20))
    state = dynamics.initial(problems)
    for tokens in comparison.b.actions.T:
        assert dynamics.legal(state)[np.arange(20), tokens].all()
        state = dynamics.transition(problems, state, tokens).next_state


@pytest.mark.parametrize("algorithm", [name for name, row in ALGORITHMS.items() if not row.uses_mask])
def test_masks_for_an_agent_without_them_are_refused(algorithm):
    agent = untrained_variant(algorithm)
    seen = np.zeros((2, agent.policy.observation_space.shape[0]))
    with pytest.raises(SettingError, match=rf"a {algorithm} agent takes no action masks; .* train maskable-ppo"):
        agent.predict(seen, action_masks=np.ones((2, 64), dtype=bool))
    with pytest.raises(SettingError, match=r"takes no action masks"):
        Player(agent, masked=True)


@pytest.mark.parametrize("vocab_size", [64, 61])
def test_packed_masks_are_those_of_sb3_contribs_buffer_minibatch_by_minibatch(vocab_size):
    env = TokenVecEnv(3, vocab_size=vocab_size, max_steps=4)
    buffers = [kind(4, env.observation_space, env.action_space, "cpu", n_envs=3) for kind in (
        MaskableRolloutBuffer, PackedMaskBuffer)]  # fmt: skip
    generator = np.random.default_rng(0)
    for rollout in range(2):
        for buffer in buffers:
            buffer.reset()
        for step in range(4):
            row = [generator.normal(size=(3, 51)), generator.integers(vocab_size, size=(3, 1)), np.ones(3), np.ones(3)]
            values, masks = torch.randn(3), generator.random((3, vocab_size)) < 0.5
            masks = None if (rollout, step) == (1, 2) else masks  # sb3-contrib: everything may be said
            for buffer in buffers:
                buffer.add(*row, values, values, action_masks=masks)
        for buffer in buffers:
            buffer.compute_returns_and_advantage(torch.zeros(3), np.ones(3))
        minibatches = []
        for buffer in buffers:
            np.random.seed(1)  # noqa: NPY002  # SB3 shuffles with it
            minibatches.append(list(buffer.get(5)))
        assert [len(samples.actions) for samples in minibatches[0]] == [5, 5, 2]
        for theirs, ours in zip(*minibatches, strict=True):
            for name, expected in theirs._asdict().items():
                torch.testing.assert_close(getattr(ours, name).float(), expected.float(), rtol=0, atol=0)
    assert buffers[1].action_masks.nbytes * 30 < buffers[0].action_masks.nbytes


def test_masked_categoricals_are_sb3_contribs_in_value_and_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 50, generator=generator, dtype=torch.float64)
    masks = torch.rand(6, 50, generator=generator) < 0.3
    actions = masks.float().argmax(dim=1)
    results = []
    for ours in (True, False):
        leaf = logits.clone().requires_grad_()
        if ours:
            distribution = LargeCategoricalDistribution(50).proba_distribution(leaf)
            distribution.apply_masking(masks.numpy())
            assert isinstance(distribution.distribution, LargeCategorical)
        else:
            distribution = MaskableCategorical(logits=leaf, masks=masks)
        log_prob, entropy = distribution.log_prob(actions), distribution.entropy()
        (log_prob * torch.arange(6) - 0.3 * entropy).sum().backward()
        results.append((log_prob.detach(), entropy.detach(), leaf.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("head", HEADS)
def test_a_recurrent_agent_remembers_its_episode_and_nothing_before(head):
    """What it says is what it would say having seen the whole of the episode so far at once."""
    agent = untrained_variant("recurrent-ppo", head)
    with torch.no_grad():
        for parameter in agent.policy.lstm_actor.parameters():
            parameter.mul_(5.0)  # so that memory matters
        if head == "planning":
            tied = agent.policy.mlp_extractor.head
            for strong in (tied.scalar, tied.matrix, tied.slopes):
                strong.zero_()  # what is seen now would decide alone
            tied.memory.mul_(100.0)
    player = agent.greedy
    evaluate(player, range(20, 30), task=agent.task)  # another episode, of another number of rows
    played = evaluate(player, range(40), task=agent.task)
    batch = Batch(agent.dynamics, 40)
    batch.set_next(np.arange(40), np.arange(40))
    batch.start(np.arange(40))
    seen, forgetful = [], []
    for tokens in played.actions.T:
        seen.append(batch.observe())
        forgetful.append(agent.predict(seen[-1])[0])
        batch.step(tokens)
    sequences = torch.as_tensor(np.stack(seen, axis=1).reshape(40 * 8, -1))
    zeros = torch.zeros(1, 40, 8)
    starts = torch.zeros(40, 8)
    starts[:, 0] = 1.0
    with torch.no_grad():
        distribution, _ = agent.policy.get_distribution(sequences, (zeros, zeros), starts.flatten())
    np.testing.assert_array_equal(distribution.mode().reshape(40, 8).numpy(), played.actions)
    assert (np.stack(forgetful, axis=1) != played.actions).mean() > 0.05


def test_a_recurrent_agents_memory_is_handed_on_by_predict():
    agent = untrained_variant("recurrent-ppo")
    player, state, rows = agent.sampled, None, np.arange(6)
    batch = Batch(agent.dynamics, 6)
    batch.set_next(rows, rows)
    batch.start(rows)
    for step in range(8):
        seen, starts = batch.observe(), np.full(6, step == 0)
        torch.manual_seed(step)
        expected = player.act(seen, starts, batch.action_masks)
        torch.manual_seed(step)
        tokens, state = agent.predict(seen, deterministic=False, state=state, episode_start=starts)
        np.testing.assert_array_equal(tokens, expected)
        batch.step(tokens)


@pytest.mark.parametrize("inside", [False, True])
def test_whole_sequences_are_what_sb3_contrib_computes_step_by_step(inside):
    lstm, states = torch.nn.LSTM(5, 7), (torch.randn(1, 3, 7), torch.randn(1, 3, 7))
    starts = torch.zeros(3, 4)
    starts[1, 0] = 1.0
    if inside:
        starts[2, 2] = 1.0
    features = torch.randn(12, 5)
    expected = RecurrentActorCriticPolicy._process_sequence(features, states, starts.flatten(), lstm)
    ours = FastRecurrentActorCriticPolicy._process_sequence(features, states, starts.flatten(), lstm)
    torch.testing.assert_close(ours, expected)
    kept = FastRecurrentActorCriticPolicy._process_sequence(features, states, torch.zeros(12), lstm)
    assert (ours[0] - kept[0]).abs().reshape(3, 4, 7)[1].max() > 0.01


@pytest.mark.parametrize("head", ["stock", "fast"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_optimizer_is_that_of_the_settings_and_by_default_sb3s(algorithm, head):
    def optimizer(name):
        settings = variant_settings(algorithm, head)
        policy = settings.policy.model_copy(update={"optimizer": name})
        settings = settings.model_copy(update={"policy": policy})
        return build_model(settings, TokenVecEnv(4, **TINY), Dynamics(settings.env), "cpu").policy.optimizer

    chosen = {name: optimizer(name) for name in ("auto", "adam", "rmsprop", "sgd")}
    kinds = {name: type(each) for name, each in chosen.items()}
    sb3s = "rmsprop" if algorithm == "a2c" else "adam"
    assert kinds == {"auto": kinds[sb3s], "adam": Adam, "rmsprop": RMSprop, "sgd": SGD}
    assert chosen["auto"].defaults == chosen[sb3s].defaults
    assert chosen["sgd"].defaults["momentum"] == 0


@pytest.mark.parametrize("head", ["fast", "tied"])
def test_trpos_divergence_can_be_differentiated_twice(head):
    model = model_of("trpo", head)
    model.learn(128)
    assert model.logger.name_to_value["train/is_line_search_success"] == 1.0
    assert 0 < model.logger.name_to_value["train/kl_divergence_loss"] < 0.01
