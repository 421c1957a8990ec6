"""Rows of results without a training behind them, whose figures can be worked out by hand."""

from functools import cache

import numpy as np

from agents.machine.provenance import versions
from benchmarks.measures.row import Row
from benchmarks.suite.cases import find_benchmark
from token_env.languages.find import find_language

versions_here = cache(versions)  # which reads files
FIGURES = {
    "problems": 50,
    "mean_return": 1.0,
    "mean_adequacy": 1.5,
    "mean_fluency_penalty": 0.5,
    "distinct_tokens": 7,
    "token_perplexity": 3.0,
    "adequacy_by_rarity": [0.8, 0.6, 0.4, None],
}


def figures(**changes):
    return FIGURES | changes


def make_row(benchmark="tiny", case="tiny/ppo", seed=0, **changes):
    """A row of the case as it is declared, but for the fields given."""
    settings = find_benchmark(benchmark).find_case(case).settings(seed)
    env = settings.env
    returns = np.random.default_rng(seed).normal(size=settings.episodes).round(3)
    held_out = {"agent (greedy)": figures(mean_return=1.2 + 0.01 * seed), "agent (sampled)": figures()}
    held_out |= {
        name: figures(mean_return=value)
        for name, value in {"greedy": 2.4, "fluent": 0.4, "verbatim": -9.0, "random": -90.0}.items()
    }
    row = {
        "format": 1,
        "case": case,
        "seed": seed,
        "started": "2026-01-02T03:04:05+0000",
        "revision": "0123456789ab",
        "versions": dict(versions_here()),
        "machine": {"host": "h", "system": "s", "processor": "p", "cores": 2, "device": "cpu"},
        "settings": settings.to_dict(),
        "language": find_language(env.language, env.vocab_size, env.language_seed).fingerprint,
        "training": {
            "seconds": 60.0,
            "cpu_seconds": 45.0,
            "threads": 1,
            "peak_memory_mb": 500.0,
            "device_memory_mb": None,
            "device_use_percent": None,
        },
        "policy_bytes": 4_000_000,
        "file_bytes": 4_100_000,
        "distinct_tokens_last_100": 9,
        "returns": returns.tolist(),
        "losses": [3.0, None, 0.5, 1.0],
        "rollout_tokens": [60, 50, 40, 30],
        "held_out": held_out,
        "training_problems": figures(mean_return=1.5),
    }
    return Row.model_validate(row | changes)


def make_diverged_row(benchmark="tiny", case="tiny/ppo", seed=0, episodes=3, **changes):
    """A row of a training that diverged after so many episodes, which returned 1, 2, 3, …"""
    whole = make_row(benchmark, case, seed)
    held_out = {name: value for name, value in whole.held_out.items() if not name.startswith("agent")}
    returns = [float(episode) for episode in range(1, episodes + 1)]
    fields = {"diverged": episodes, "returns": returns, "held_out": held_out, "losses": [2.0], "rollout_tokens": [9]}
    return make_row(benchmark, case, seed, **fields, training_problems=None, file_bytes=None, **changes)
