"""Define every metric of the table: its name, its unit, which way is better, and how it follows from a row."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.algorithms import algorithm_settings
from agents.plots import running_mean
from agents.scores import GREEDY, SAMPLED
from benchmarks.convergence import convergence_episode
from benchmarks.row import Row

LAST, LATEST = 100, 20  # episodes, or updates, at the end of a training
Figure = float | int | str


class Metric(NamedTuple):
    """A row of the table."""

    name: str  # column of the data frame
    label: str  # what people read
    definition: str
    of: Callable[[Row], Figure | None]
    digits: int = 2  # shown behind the point
    better: int = 0  # 1: more is better, -1: less is better, 0: neither
    headline: bool = False  # whether README shows it
    signed: bool = False


class Section(NamedTuple):
    """Metrics that belong together."""

    title: str
    metrics: tuple[Metric, ...]


def _tail(values: Sequence[float], count: int) -> NDArray[np.float64]:
    return np.asarray(values[-count:], dtype=np.float64)


def _losses(row: Row, count: int | None = None) -> NDArray[np.float64]:
    finite = [loss for loss in row.losses if loss is not None]
    return np.asarray(finite[-count:] if count else finite)


def _drawdown(row: Row) -> float | None:
    """The largest fall of the running mean of 100 episodes below what it had reached before."""
    means = running_mean(row.returns, LAST)[LAST - 1 :]
    return float((np.maximum.accumulate(means) - means).max()) if len(means) else None


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value


def _of_greedy(row: Row) -> float:
    return row.held_out[GREEDY].mean_return / row.held_out["greedy"].mean_return


CONFIGURATION = Section(
    "Configuration",
    (
        Metric("episodes", "Episodes", "Episodes played in training.", lambda row: len(row.returns), 0, headline=True),
        Metric(
            "vocab_size",
            "Vocabulary",
            "Tokens the agent can say: actions.",
            lambda row: row.settings.env.vocab_size,
            0,
            headline=True,
        ),
        Metric(
            "hidden",
            "Hidden units",
            "Units of each hidden layer, of the policy's network and of the value's alike.",
            lambda row: " + ".join(map(str, row.settings.policy.hidden)),
            headline=True,
        ),
        Metric("max_steps", "Steps", "Steps of an episode.", lambda row: row.settings.env.max_steps, 0, headline=True),
        Metric(
            "learning_rate",
            "Learning rate",
            "Of the optimizer, at the start.",
            lambda row: f"{algorithm_settings(row.settings).learning_rate:.0e}".replace("e-0", "e-"),
            headline=True,
        ),
        Metric("device", "Device", "Where the networks are trained.", lambda row: row.machine.device, headline=True),
        Metric(
            "policy_mb",
            "Policy, MB",
            "Parameters of policy and value network, 10⁶ bytes.",
            lambda row: row.policy_bytes / 1e6,
            1,
            -1,
        ),
        Metric(
            "file_mb",
            "Model file, MB",
            "The saved weights on disk, 10⁶ bytes.",
            lambda row: row.file_bytes / 1e6,
            1,
            -1,
            headline=True,
        ),
    ),
)
COST = Section(
    "Cost",
    (
        Metric(
            "training_minutes",
            "Training time, min",
            "Wall clock from the first episode to the last update, on one thread; evaluation not included.",
            lambda row: row.training.seconds / 60,
            2,
            -1,
            headline=True,
        ),
        Metric(
            "episodes_per_minute",
            "Episodes per minute",
            "Episodes divided by training time.",
            lambda row: 60 * len(row.returns) / row.training.seconds,
            0,
            1,
            headline=True,
        ),
        Metric(
            "steps_per_second",
            "Steps per second",
            "Environment steps divided by training time, updates included.",
            lambda row: len(row.returns) * row.settings.env.max_steps / row.training.seconds,
            0,
            1,
        ),
        Metric(
            "peak_memory_mb",
            "Peak memory, MB",
            "Most resident memory of the process, 10⁶ bytes, evaluation included.",
            lambda row: row.training.peak_memory_mb,
            0,
            -1,
            headline=True,
        ),
        Metric(
            "cpu_percent",
            "CPU use, %",
            "Processor time divided by training time; 100 is one core.",
            lambda row: 100 * row.training.cpu_seconds / row.training.seconds,
            0,
        ),
        Metric(
            "device_memory_mb",
            "Device memory, MB",
            "cuda: most memory that tensors held; mps: what the driver holds at the end; 10⁶ bytes.",
            lambda row: row.training.device_memory_mb,
            0,
            -1,
        ),
        Metric(
            "device_use_percent",
            "Device use, %",
            "cuda with nvidia-ml-py: mean of one reading an update.",
            lambda row: row.training.device_use_percent,
            0,
        ),
    ),
)
TRAINING = Section(
    "Training",
    (
        Metric(
            "max_return",
            "Best episode",
            "The highest return of a training episode.",
            lambda row: max(row.returns),
            2,
            1,
            headline=True,
            signed=True,
        ),
        Metric(
            "final_return",
            "Last episode",
            "The return of the last training episode.",
            lambda row: row.returns[-1],
            2,
            1,
            headline=True,
            signed=True,
        ),
        Metric(
            "mean_last_100",
            "Mean of the last 100",
            "Of the returns of the last 100 training episodes.",
            lambda row: float(_tail(row.returns, LAST).mean()),
            2,
            1,
            headline=True,
            signed=True,
        ),
        Metric(
            "mean_last_20",
            "Mean of the last 20",
            "Of the returns of the last 20 training episodes.",
            lambda row: float(_tail(row.returns, LATEST).mean()),
            2,
            1,
            headline=True,
            signed=True,
        ),
        Metric(
            "lowest_last_20",
            "Lowest of the last 20",
            "The lowest return of the last 20 training episodes.",
            lambda row: float(_tail(row.returns, LATEST).min()),
            2,
            1,
            signed=True,
        ),
        Metric(
            "highest_last_20",
            "Highest of the last 20",
            "The highest return of the last 20 training episodes.",
            lambda row: float(_tail(row.returns, LATEST).max()),
            2,
            1,
            signed=True,
        ),
        Metric(
            "min_loss",
            "Lowest loss",
            "Of all updates. The loss of an update is policy, entropy and value loss, added up with the run's coefficients and averaged over the minibatches; it can be negative, and compares runs of one algorithm and one set of coefficients only.",
            lambda row: float(_losses(row).min()) if len(_losses(row)) else None,
            4,
            headline=True,
        ),
        Metric(
            "lowest_loss_last_20",
            "Lowest loss of the last 20 updates",
            "Of the last 20 updates (all, where there were fewer).",
            lambda row: float(_losses(row, LATEST).min()) if len(_losses(row)) else None,
            4,
        ),
        Metric(
            "highest_loss_last_20",
            "Highest loss of the last 20 updates",
            "Of the last 20 updates (all, where there were fewer).",
            lambda row: float(_losses(row, LATEST).max()) if len(_losses(row)) else None,
            4,
        ),
        Metric(
            "drawdown",
            "Drawdown",
            "Stability: the largest fall of the mean of 100 episodes in a row below what that mean had reached before.",
            _drawdown,
            2,
            -1,
        ),
        Metric(
            "spread",
            "Spread of the last 100",
            "Stability: the standard deviation of the returns of the last 100 training episodes.",
            lambda row: float(_tail(row.returns, LAST).std(ddof=1)),
            2,
            -1,
        ),
        Metric(
            "convergence",
            "Converged by episode",
            "The first episode from which on no block of 100 episodes earned significantly less than the last fifth of the training: Welch's one-sided t-test of each whole block before it, 5 % shared equally among the blocks. A run in which the first block earned no less, or the last tested one still did, has none.",
            lambda row: _defined(convergence_episode(row.returns)),
            0,
            -1,
            headline=True,
        ),
        Metric(
            "training_tokens",
            "Distinct tokens, training",
            "Different tokens said in the last 100 training episodes.",
            lambda row: row.distinct_tokens_last_100,
            0,
            1,
        ),
    ),
)
QUARTERS = ("commonest", "second", "third", "rarest")


def _recovered(quarter: int) -> Callable[[Row], float | None]:
    def share(row: Row) -> float | None:
        found = row.held_out[GREEDY].adequacy_by_rarity[quarter]
        return None if found is None else 100 * found

    return share


def _reference(name: str) -> Callable[[Row], float]:
    return lambda row: row.held_out[name].mean_return


HELD_OUT = Section(
    "Held-out problems",
    (
        Metric(
            "test_return",
            "Return",
            "Mean return on test problems 0–199 with the most probable tokens.",
            lambda row: row.held_out[GREEDY].mean_return,
            2,
            1,
            headline=True,
            signed=True,
        ),
        Metric(
            "test_return_sampled",
            "Return, sampled",
            "The same with tokens drawn by their probability.",
            lambda row: row.held_out[SAMPLED].mean_return,
            2,
            1,
            signed=True,
        ),
        Metric(
            "of_greedy",
            "Share of `greedy`",
            "The return divided by that of the reference policy `greedy` on the same problems: comparable between sizes, which returns are not.",
            _of_greedy,
            3,
            1,
            headline=True,
            signed=True,
        ),
        *(
            Metric(
                f"reference_{name}",
                f"Reference `{name}`",
                f"Mean return of the reference policy `{name}` on the same problems; the same in every run.",
                _reference(name),
                2,
                signed=True,
            )
            for name in ("greedy", "fluent", "verbatim", "random")
        ),
        Metric(
            "gap",
            "Generalisation gap",
            "Mean return, most probable tokens, on the 200 problems played last in training less that on the test problems; 0 is perfect generalisation.",
            lambda row: row.training_problems.mean_return - row.held_out[GREEDY].mean_return,
            3,
            headline=True,
            signed=True,
        ),
        *(
            Metric(
                f"adequacy_{quarter}",
                f"Adequacy, {quarter} words, %",
                f"Adequacy recovered on the {quarter} quarter of the words of the test messages, as a share of what saying the word itself would have earned.",
                _recovered(place),
                1,
                1,
                headline=quarter in ("commonest", "rarest"),
            )
            for place, quarter in enumerate(QUARTERS)
        ),
        Metric(
            "test_tokens",
            "Distinct tokens",
            "Different tokens said on the test problems, most probable ones.",
            lambda row: row.held_out[GREEDY].distinct_tokens,
            0,
            1,
            headline=True,
        ),
        Metric(
            "token_perplexity",
            "Token perplexity",
            "Exp of the entropy of these tokens: how many equally used ones would be as varied.",
            lambda row: row.held_out[GREEDY].token_perplexity,
            1,
            1,
        ),
    ),
)
SECTIONS = (CONFIGURATION, COST, TRAINING, HELD_OUT)
METRICS = {metric.name: metric for section in SECTIONS for metric in section.metrics}


def figures_of(row: Row) -> dict[str, Figure | None]:
    """Every metric of a run, by name; None where the run has none."""
    return {name: metric.of(row) for name, metric in METRICS.items()}
