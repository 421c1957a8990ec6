"""Declare what the benchmarks run, each case repeated with several seeds."""

from typing import Any

from agents.settings.layers import merged_layers, preset_layer, read_layer
from benchmarks.suite.case import Benchmark, Case, shortened
from benchmarks.suite.claim_cases import CLAIM_CASES
from token_env import SIZES
from token_env.errors import find

PRESET, AS_REPORTED, SB3_DEFAULTS = "preset", "as-reported", "sb3-defaults"


def _sizes_side_by_side(most_episodes: int | None = None) -> tuple[Case, ...]:
    """The three sizes as the report has them and with our presets, each for about so many episodes at most."""
    sources = [
        (size, variant, layer)
        for size in ("fast", "intermediate", "stable")
        for variant, layer in ((AS_REPORTED, read_layer(f"reported/{size}")), (PRESET, preset_layer(size)))
    ]
    return tuple(Case(size, variant, shortened(layer, most_episodes)) for size, variant, layer in sources)


def _tiny(algorithm: str) -> Case:
    layer = {**preset_layer("tiny"), "algorithm": algorithm, "episodes": 400, "device": "cpu"}
    return Case("tiny", algorithm, {**layer, "evaluation": {"problems": 50}})


def _heads() -> tuple[Case, ...]:
    """Fast with plain logits: SB3's own categorical, ours, and ours with products in bf16."""
    changes: dict[str, dict[str, Any]] = {
        "stock": {"policy": {"head": "stock"}},
        "fast": {"policy": {"head": "fast"}},
        "bf16": {"policy": {"head": "fast"}, "precision": "bf16"},
    }
    return tuple(Case("fast", name, merged_layers(preset_layer("fast"), change)) for name, change in changes.items())


def _ways_to_reach() -> tuple[Case, ...]:
    """Both of the report's sizes with SB3's own defaults, with our preset in SB3's own classes, and with our preset."""
    return tuple(
        Case(size, variant, layer)
        for size in ("fast", "stable")
        for variant, layer in (
            (SB3_DEFAULTS, _sb3_defaults(size)),
            ("sb3-classes", merged_layers(preset_layer(size), {"policy": {"head": "stock"}})),
            (PRESET, preset_layer(size)),
        )
    )


def _sb3_defaults(size: str) -> dict[str, Any]:
    """As reported, but for SB3's own networks and learning rate."""
    layer = read_layer(f"reported/{size}")
    ppo = {key: value for key, value in layer["ppo"].items() if key != "learning_rate"}
    return {key: value for key, value in layer.items() if key != "policy"} | {"ppo": ppo}


def _of_so_many_problems(num_problems: int | None) -> Case:
    name = "endless" if num_problems is None else f"{num_problems}-problems"
    return Case("fast", name, {**preset_layer("fast"), "env": {**SIZES["fast"], "num_problems": num_problems}})


CLAIMS, FAST_VS_STABLE, GENERALISATION = "claims", "fast-vs-stable", "generalisation"
HEADS, REACH = "heads", "reach"
BENCHMARKS = {
    CLAIMS: Benchmark("The report's claims", CLAIM_CASES, ("stable/hybrid", "stable/short-hybrid")),
    FAST_VS_STABLE: Benchmark("Fast against stable", _sizes_side_by_side(), (f"fast/{PRESET}", f"stable/{PRESET}")),
    GENERALISATION: Benchmark(
        "Fast, trained on so many problems",
        tuple(map(_of_so_many_problems, (10, 100, 1000, None))),
        ("fast/10-problems", "fast/endless"),
    ),
    HEADS: Benchmark("Fast with plain logits", _heads(), ("fast/stock", "fast/fast")),
    REACH: Benchmark("To the report's averages", _ways_to_reach(), (f"fast/{PRESET}", f"fast/{SB3_DEFAULTS}")),
    "short": Benchmark(
        "Fast against stable, about 200 episodes each",
        _sizes_side_by_side(200),
        (f"fast/{PRESET}", f"stable/{PRESET}"),
    ),
    "tiny": Benchmark("Tiny: a smoke test", (_tiny("ppo"), _tiny("a2c")), ("tiny/ppo", "tiny/a2c")),
}


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of this name.

    Raises:
        SettingError: an unknown name.
    """
    return find("benchmark", name, BENCHMARKS)
