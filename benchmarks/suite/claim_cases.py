"""Define the additional cases that test the claims of the original report."""

from typing import Any

from agents.settings.layers import merge_layers, read_layer
from benchmarks.suite.case import Case, our_preset, shortened

FEW_SEEDS = 3  # seeds of long runs and of cases that are points of a curve
RATES = ("1e-6", "1e-5", "1e-4", "3e-4", "1e-3", "3e-3")
REPORTED_RATE = "1e-6"  # its runs belong to fast-vs-stable
RATE_STUDY_EPISODES = 400  # episodes of stable per learning rate: a twelfth of the report's
UNITS, TOKENS = (128, 256, 512), (1000, 2500, 5000)  # hidden units and vocabulary sizes of the capacity grid
PRESET_CELLS = {(256, 1000): "fast", (256, 5000): "intermediate"}  # grid cells that are presets of these sizes
EPISODES_PER_FAST_RUN = 750  # episodes of stable that take as long as one run of fast
SHORT_BUDGET = 1500  # episodes of stable: twice the time of one run of fast


def rate_cases() -> tuple[Case, ...]:
    """Build the learning-rate cases: the report's settings and our preset of fast, each with only the rate changed.

    Stable runs for its first episodes only, with the categorical of `policy.head=fast`: the same policy in half the
    time.
    """
    other_rates = [rate for rate in RATES if rate != REPORTED_RATE]
    fast, preset = read_layer("reported/fast"), our_preset("fast")
    stable = merge_layers(shortened(read_layer("reported/stable"), RATE_STUDY_EPISODES), {"policy": {"head": "fast"}})
    return (
        *(Case("fast", f"rate-{rate}", _at_rate(fast, rate), max_seeds=FEW_SEEDS) for rate in other_rates),
        *(Case("stable", f"rate-{rate}", _at_rate(stable, rate), max_seeds=FEW_SEEDS) for rate in other_rates),
        *(Case("fast", f"preset-rate-{rate}", _at_rate(preset, rate), max_seeds=FEW_SEEDS) for rate in RATES),
    )


def _at_rate(layer: dict[str, Any], rate: str) -> dict[str, Any]:
    return merge_layers(layer, {"ppo": {"learning_rate": float(rate)}})


def grid_cases() -> tuple[Case, ...]:
    """Build the grid of hidden units × vocabulary on fast's preset; with plain logits only its corners."""
    corners = [(512, 1000), (256, 5000), (512, 5000)]  # the fourth corner is a case of the benchmark `heads`
    tied = [(units, tokens) for tokens in TOKENS for units in UNITS if (units, tokens) not in PRESET_CELLS]
    return (
        *(Case("grid", grid_variant(*cell), _cell(*cell, "tied"), max_seeds=FEW_SEEDS) for cell in tied),
        *(Case("plain", grid_variant(*cell), _cell(*cell, "fast"), max_seeds=FEW_SEEDS) for cell in corners),
    )


def grid_variant(units: int, tokens: int) -> str:
    """Return the variant name of a grid cell."""
    return f"{units}-units-{tokens}-tokens"


def _cell(units: int, tokens: int, head: str) -> dict[str, Any]:
    return _fast({"env": {"vocab_size": tokens}, "policy": {"hidden": [units, units], "head": head}})


def hybrid_cases() -> tuple[Case, ...]:
    """Build the cases that train fast first and continue as stable, at stable's full budget and at a short one.

    Stable alone at the full budget is a case of fast-vs-stable.
    """
    fast, stable = our_preset("fast"), our_preset("stable")
    return (
        Case("stable", "short", shortened(stable, SHORT_BUDGET)),
        Case("stable", "short-hybrid", shortened(stable, SHORT_BUDGET - EPISODES_PER_FAST_RUN), start=fast),
        Case("stable", "hybrid", shortened(stable, stable["episodes"] - EPISODES_PER_FAST_RUN), start=fast),
    )


def reward_cases() -> tuple[Case, ...]:
    """Build the cases of fast's preset with other rewards; some with γ = 1, so that final rewards reach early steps."""
    far = {"ppo": {"gamma": 1.0, "gae_lambda": 0.95}}
    return (
        *(
            Case("fast", f"reward-{reward}", _fast({"env": {"reward": reward}}))
            for reward in ("terminal", "potential", "exact")
        ),
        *(
            Case("fast", f"reward-{reward}-far", _fast({"env": {"reward": reward}}, far), max_seeds=FEW_SEEDS)
            for reward in ("dense", "terminal", "potential")
        ),
    )


def other_cases() -> tuple[Case, ...]:
    """Build the cases of fast's preset with a curriculum, with masks, and with masks and plain logits."""
    masks = {"algorithm": "maskable-ppo"}
    return (
        Case("fast", "curriculum", _fast({"curriculum": {"enabled": True}})),
        Case("fast", "masks", _fast(masks)),
        Case("fast", "plain-masks", _fast(masks, {"policy": {"head": "fast"}})),
    )


def _fast(*changes: dict[str, Any]) -> dict[str, Any]:
    layer = our_preset("fast")
    for change in changes:
        layer = merge_layers(layer, change)
    return layer


CLAIM_CASES = (*other_cases(), *reward_cases(), *hybrid_cases(), *rate_cases(), *grid_cases())
