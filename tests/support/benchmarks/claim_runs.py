"""Runs with chosen figures, and the verdicts that follow from them.

Figures are given by case. A tuple has a value per seed, any other value belongs to every run of the case:

- `ends`, `spread`, `peak`, `fall`, `converged`: level, deviation, best episode, drawdown, convergence of the returns;
- `score`, `test`, `unmasked`: score on validation problems, on test problems, and there without masks;
- `rarest`, `rarest_of_fast`: per cent of the rarest quarter of the own test messages and of those of fast;
- `minutes`, `start_minutes`: processor time of a training and of the one before it; `speed`: steps per second;
- `losses`, a list; `diverged`: the episodes after which a training diverged; `seeds`.
"""

from functools import cache
from zlib import crc32

import numpy as np

from agents.evaluation.scores import Figures
from benchmarks.claims.budget_rules import BUDGET_CLAIMS
from benchmarks.claims.curve_rules import CURVE_CLAIMS
from benchmarks.claims.evidence import SOURCES, Evidence
from benchmarks.claims.open_questions import OPEN_QUESTIONS
from benchmarks.claims.rate_rules import RATE_CLAIM
from benchmarks.claims.verdict import combined_verdict
from benchmarks.measures.results_file import Rows
from benchmarks.measures.row import Start
from tests.support.benchmarks.rows import figures, make_diverged_row, make_row

SEEDS = (0, 1, 2)
OPTIMUM = {30: 4.0, 50: 6.0}  # by steps: in 30 steps a score of 80 is a mean return of 3.2
SCATTERED = np.array([40.0, 70.0, 55.0])
NOISE = 0.003  # deviation of figures between runs
NOISY = ("ends", "score", "test", "unmasked", "rarest", "rarest_of_fast", "peak")
CLAIMS = {claim.name: claim for claim in (RATE_CLAIM, *CURVE_CLAIMS, *BUDGET_CLAIMS, *OPEN_QUESTIONS)}
BENCHMARKS = {
    "preset": "fast-vs-stable", "as-reported": "fast-vs-stable", "fast": "heads", "mps": "devices", "cpu": "devices",
    "planning": "learning", "tied": "learning",
}  # fmt: skip
# Nothing is learned with the report's settings, so that our presets alone are judged.
REPORTED = {"fast/as-reported": {"ends": -90.0}, "stable/as-reported": {"ends": -190.0}}
plain_row = cache(make_row)


def make_up_optima(monkeypatch):
    """Replace the optima of problems, so that none are solved."""
    for module in ("figures", "shares"):
        monkeypatch.setattr(f"benchmarks.measures.{module}.mean_optimum", lambda task, *_: OPTIMUM[task.max_steps])


def around(mean, distance):
    """Three values about a mean, this far apart: their standard deviation is the distance."""
    return mean - distance, mean + distance, mean


def scores(added=0.0):
    """Scores of three seeds, so far apart that only pairs show what is added: a number, or one per seed."""
    return tuple((SCATTERED + np.asarray(added)).tolist())


def benchmark_of(case):
    return BENCHMARKS.get(case.partition("/")[2], "claims")


def evidence(*layers):
    """Runs with the figures of these layers, by case; later layers over earlier ones."""
    merged = {}
    for layer in layers:
        for case, chosen in layer.items():
            merged[case] = merged.get(case, {}) | chosen
    rows = {name: [] for name in SOURCES}
    for case, chosen in merged.items():
        rows[benchmark_of(case)] += made_up_rows(case, chosen)
    return Evidence({name: Rows(None, accepted, {}) for name, accepted in rows.items()})


def verdict(name, *layers):
    return CLAIMS[name].verdict(evidence(*layers))


def verdict_at_95(name, *layers):
    """The verdict if every interval had a level of 95 %, however many decide."""
    return combined_verdict(CLAIMS[name].judge(evidence(*layers)))


def made_up_rows(case, chosen):
    """A row per seed of a case."""
    lengths = {len(value) for value in chosen.values() if isinstance(value, tuple)}
    seeds = chosen.get("seeds") or range(lengths.pop() if lengths else len(SEEDS))
    return [made_up_row(case, seed, figures_of_run(case, chosen, place)) for place, seed in enumerate(seeds)]


def figures_of_run(case, chosen, place):
    generator = np.random.default_rng(crc32(f"{case} {place}".encode()))
    noise = dict(zip(NOISY, NOISE * generator.normal(size=len(NOISY)).clip(-2, 2), strict=True))
    return {
        name: value[place] if isinstance(value, tuple) else value + noise[name] if name in noise else value
        for name, value in ({"score": 50.0, "test": 20.0} | chosen).items()
    }


def made_up_row(case, seed, run):
    row = plain_row(benchmark_of(case), case, seed)
    if (played := run.get("diverged")) is not None:
        returns = returns_of(len(row.returns), run)[:played]
        return make_diverged_row(benchmark_of(case), case, seed, played).model_copy(update={"returns": returns})
    seconds = len(row.returns) * row.settings.env.max_steps / run.get("speed", 100.0)
    cost = row.training.model_copy(update={"seconds": seconds, "cpu_seconds": 60 * run.get("minutes", 1.0)})
    changes = {
        "returns": returns_of(len(row.returns), run),
        "losses": tuple(run.get("losses", [1.0])),
        "held_out": row.held_out | {"agent (greedy)": scored(row, run["test"], run.get("rarest", 50.0))},
        "training": cost,
    }
    if row.settings.evaluation.split == "validation":
        changes["held_out"]["agent (greedy)"] = scored(row, run["score"])
    elif run["score"] is not None:
        changes["on_validation"] = {"agent (greedy)": scored(row, run["score"])}
    if "rarest_of_fast" in run:
        changes["on_fast_messages"] = scored(row, 0.0, run["rarest_of_fast"])
    if "unmasked" in run:
        changes["without_masks"] = scored(row, run["unmasked"])
    if "start_minutes" in run:
        first = cost.model_copy(update={"cpu_seconds": 60 * run["start_minutes"]})
        changes["start"] = Start(settings=row.settings, training=first)
    return row.model_copy(update=changes)


def returns_of(count, run):
    """Returns whose figures are exact: in any 100 or 20 episodes in a row those above and below the level balance."""
    ends, spread = run.get("ends", 1.0), run.get("spread", 0.3)
    returns = ends + spread * np.tile([1.0, -1.0], count // 2)
    if converged := run.get("converged"):
        returns[: int(converged) - 100] -= 1000.0
    returns[count // 2 : count // 2 + 100] += run.get("fall", 0.0)
    if "peak" in run:
        returns[count // 2 + 200] = run["peak"]
    return tuple(returns.tolist())


def scored(row, score, rarest=50.0):
    """Figures of a policy with this score in per cent."""
    earned = OPTIMUM[row.settings.env.max_steps] * score / 100
    return Figures.model_validate(figures(mean_return=earned, adequacy_by_rarity=[0.9, 0.8, 0.7, rarest / 100]))
