"""Define the benchmarks and their cases."""

from typing import Any

from agents.settings.layers import merge_layers, preset_layer, read_layer
from benchmarks.suite.case import Benchmark, Case, plain_preset, shortened
from benchmarks.suite.claim_cases import CLAIM_CASES
from benchmarks.suite.learning_cases import learning_cases
from token_env import SIZES
from token_env.errors import find

PRESET, AS_REPORTED, SB3_CLASSES, SB3_DEFAULTS = "preset", "as-reported", "sb3-classes", "sb3-defaults"

DEVICE_EPISODES = 400  # enough to measure steps per second


def _size_cases(max_episodes: int | None = None) -> tuple[Case, ...]:
    """Build the cases of the three sizes, each with the original report's settings and with our preset."""
    sources = [
        (size, variant, layer)
        for size in ("fast", "intermediate", "stable")
        for variant, layer in ((AS_REPORTED, read_layer(f"reported/{size}")), (PRESET, preset_layer(size)))
    ]
    return tuple(Case(size, variant, shortened(layer, max_episodes)) for size, variant, layer in sources)


def _device_cases() -> tuple[Case, ...]:
    """Build the cases of the report's two sizes on mps and on the cpu, for a few hundred episodes each."""
    return tuple(
        Case(size, device, merge_layers(shortened(preset_layer(size), DEVICE_EPISODES), {"device": device}))
        for size in ("fast", "stable")
        for device in ("mps", "cpu")
    )


def _tiny_case(algorithm: str) -> Case:
    layer = {**preset_layer("tiny"), "algorithm": algorithm, "episodes": 400, "device": "cpu"}
    return Case("tiny", algorithm, {**layer, "evaluation": {"problems": 50}})


def _head_cases() -> tuple[Case, ...]:
    """Build the cases of fast with plain logits: SB3's categorical, ours, and ours with matrix products in bf16."""
    changes: dict[str, dict[str, Any]] = {
        "stock": {"policy": {"head": "stock"}},
        "fast": {"policy": {"head": "fast"}},
        "bf16": {"policy": {"head": "fast"}, "precision": "bf16"},
    }
    return tuple(Case("fast", name, merge_layers(plain_preset("fast"), change)) for name, change in changes.items())


def _reach_cases() -> tuple[Case, ...]:
    """Build the cases of the report's two sizes: SB3's defaults, plain logits in SB3's classes, our preset."""
    return tuple(
        Case(size, variant, layer)
        for size in ("fast", "stable")
        for variant, layer in (
            (SB3_DEFAULTS, _sb3_defaults(size)),
            (SB3_CLASSES, merge_layers(plain_preset(size), {"policy": {"head": "stock"}})),
            (PRESET, preset_layer(size)),
        )
    )


def _sb3_defaults(size: str) -> dict[str, Any]:
    """Return the report's settings with SB3's default networks and learning rate."""
    layer = read_layer(f"reported/{size}")
    ppo = {key: value for key, value in layer["ppo"].items() if key != "learning_rate"}
    return {key: value for key, value in layer.items() if key != "policy"} | {"ppo": ppo}


def _generalisation_case(num_problems: int | None) -> Case:
    name = "endless" if num_problems is None else f"{num_problems}-problems"
    return Case("fast", name, {**preset_layer("fast"), "env": {**SIZES["fast"], "num_problems": num_problems}})


CLAIMS, DEVICES, FAST_VS_STABLE, GENERALISATION = "claims", "devices", "fast-vs-stable", "generalisation"
HEADS, LEARNING, REACH = "heads", "learning", "reach"
BENCHMARKS = {
    CLAIMS: Benchmark("The report's claims", CLAIM_CASES, ("stable/hybrid", "stable/short-hybrid")),
    DEVICES: Benchmark("Presets on mps and on the cpu", _device_cases(), ("fast/mps", "fast/cpu")),
    FAST_VS_STABLE: Benchmark("Fast against stable", _size_cases(), (f"fast/{PRESET}", f"stable/{PRESET}")),
    GENERALISATION: Benchmark(
        "Fast, trained on so many problems",
        tuple(map(_generalisation_case, (10, 100, 1000, None))),
        ("fast/10-problems", "fast/endless"),
    ),
    HEADS: Benchmark("Fast with plain logits", _head_cases(), ("fast/stock", "fast/fast")),
    LEARNING: Benchmark("Heads, and parts of the planning head", learning_cases(), ("fast/tied", "fast/planning")),
    REACH: Benchmark("To the report's averages", _reach_cases(), (f"fast/{PRESET}", f"fast/{SB3_DEFAULTS}")),
    "short": Benchmark(
        "Fast against stable, about 200 episodes each",
        _size_cases(200),
        (f"fast/{PRESET}", f"stable/{PRESET}"),
    ),
    "tiny": Benchmark("Tiny: a smoke test", (_tiny_case("ppo"), _tiny_case("a2c")), ("tiny/ppo", "tiny/a2c")),
}


def find_benchmark(name: str) -> Benchmark:
    """Return the benchmark with this name.

    Raises:
        SettingError: If there is no such benchmark.
    """
    return find("benchmark", name, BENCHMARKS)
