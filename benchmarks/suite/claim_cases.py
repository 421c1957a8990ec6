"""Declare the runs that the report's claims are tested with, beside those of the other benchmarks."""

from typing import Any

from agents.settings.layers import merged_layers, preset_layer, read_layer
from benchmarks.suite.case import Case, shortened

FEW = 3  # seeds of what takes long, and of what is drawn as a curve
RATES = ("1e-6", "1e-5", "1e-4", "3e-4", "1e-3", "3e-3")
REPORTED_RATE = "1e-6"  # whose runs are those of fast against stable
STUDIED = 400  # episodes of stable with another learning rate: a twelfth of the report's
UNITS, TOKENS = (128, 256, 512), (1000, 2500, 5000)  # of the capacity grid
MEASURED = {(256, 1000): "fast", (256, 5000): "intermediate"}  # its cells that are presets of these sizes
FAST_IN_STABLE = 750  # episodes of stable that take as long as a run of fast
SHORT = 1500  # episodes of stable: a budget of which fast takes half


def rate_cases() -> tuple[Case, ...]:
    """Learning rates: with the report's settings, only the rate changed, and with our preset of fast.

    At stable for its first episodes only, with the categorical of `policy.head=fast`: the same policy in half the time.
    """
    others = [rate for rate in RATES if rate != REPORTED_RATE]
    cheaper = merged_layers(shortened(read_layer("reported/stable"), STUDIED), {"policy": {"head": "fast"}})
    return (
        *(Case("fast", f"rate-{rate}", _at_rate(read_layer("reported/fast"), rate), most_seeds=FEW) for rate in others),
        *(Case("stable", f"rate-{rate}", _at_rate(cheaper, rate), most_seeds=FEW) for rate in others),
        *(Case("fast", f"preset-rate-{rate}", _at_rate(preset_layer("fast"), rate), most_seeds=FEW) for rate in RATES),
    )


def _at_rate(layer: dict[str, Any], rate: str) -> dict[str, Any]:
    return merged_layers(layer, {"ppo": {"learning_rate": float(rate)}})


def grid_cases() -> tuple[Case, ...]:
    """Hidden units × vocabulary, everything else fast's preset; with plain logits its corners only."""
    corners = [(512, 1000), (256, 5000), (512, 5000)]  # the fourth is one of `heads`
    tied = [(units, tokens) for tokens in TOKENS for units in UNITS if (units, tokens) not in MEASURED]
    return (
        *(Case("grid", grid_variant(*cell), _cell(*cell, "tied"), most_seeds=FEW) for cell in tied),
        *(Case("plain", grid_variant(*cell), _cell(*cell, "fast"), most_seeds=FEW) for cell in corners),
    )


def grid_variant(units: int, tokens: int) -> str:
    """How a cell of the grid is called."""
    return f"{units}-units-{tokens}-tokens"


def _cell(units: int, tokens: int, head: str) -> dict[str, Any]:
    return _fast({"env": {"vocab_size": tokens}, "policy": {"hidden": [units, units], "head": head}})


def hybrid_cases() -> tuple[Case, ...]:
    """Fast first, stable afterwards, for the budget of stable alone, and for less than a third of it.

    Stable alone for its whole budget is one of fast against stable.
    """
    fast, stable = preset_layer("fast"), preset_layer("stable")
    return (
        Case("stable", "short", shortened(stable, SHORT)),
        Case("stable", "short-hybrid", shortened(stable, SHORT - FAST_IN_STABLE), start=fast),
        Case("stable", "hybrid", shortened(stable, stable["episodes"] - FAST_IN_STABLE), start=fast),
    )


def reward_cases() -> tuple[Case, ...]:
    """Fast's preset for the other rewards; and with γ = 1, without which what comes at the end is not felt before."""
    far = {"ppo": {"gamma": 1.0, "gae_lambda": 0.95}}
    return (
        *(
            Case("fast", f"reward-{reward}", _fast({"env": {"reward": reward}}))
            for reward in ("terminal", "potential", "exact")
        ),
        *(
            Case("fast", f"reward-{reward}-far", _fast({"env": {"reward": reward}}, far), most_seeds=FEW)
            for reward in ("dense", "terminal", "potential")
        ),
    )


def other_cases() -> tuple[Case, ...]:
    """Fast's preset with a curriculum, with masks, and with masks and plain logits, which need them more."""
    masks = {"algorithm": "maskable-ppo"}
    return (
        Case("fast", "curriculum", _fast({"curriculum": {"enabled": True}})),
        Case("fast", "masks", _fast(masks)),
        Case("fast", "plain-masks", _fast(masks, {"policy": {"head": "fast"}})),
    )


def _fast(*changes: dict[str, Any]) -> dict[str, Any]:
    layer = preset_layer("fast")
    for change in changes:
        layer = merged_layers(layer, change)
    return layer


CLAIM_CASES = (*other_cases(), *reward_cases(), *hybrid_cases(), *rate_cases(), *grid_cases())
