"""Define the additional cases that test the claims of the original report."""

from typing import Any

from agents.settings.layers import merge_layers, read_layer
from agents.settings.schema import section_name
from benchmarks.suite.case import Case, our_preset, shortened

FEW_SEEDS = 3  # seeds of long runs and of cases that are points of a curve
RATES = ("1e-6", "1e-5", "1e-4", "3e-4", "1e-3", "3e-3")  # of our preset, too
REPORTED_RATE = "1e-6"  # its runs with Adam belong to fast-vs-stable
SGD_RATE = "1e-1"  # that of reported/fast-sgd and reported/stable-sgd
OPTIMIZER_RATES = {  # learning rates by policy.optimizer; with each, the best lies inside
    "adam": (*RATES, "1e-2", "3e-2"),
    "rmsprop": (*RATES, "1e-2", "3e-2"),
    "sgd": (*(f"{digit}e-{power}" for power in range(6, 0, -1) for digit in (1, 3)), "1e0"),
}
CLOSER_SGD_RATES, CLOSER_SEEDS = (REPORTED_RATE, "3e-2", SGD_RATE, "3e-1"), 5
WHOLE_SGD_RATES = (REPORTED_RATE, SGD_RATE)  # stable plays all its episodes with these
RATE_STUDY_EPISODES = 400  # episodes of stable per learning rate: a twelfth of the report's
UNITS, TOKENS = (128, 256, 512), (1000, 2500, 5000)  # hidden units and vocabulary sizes of the capacity grid
PRESET_CELLS = {(256, 1000): "fast", (256, 5000): "intermediate"}  # grid cells that are presets of these sizes
EPISODES_PER_FAST_RUN = 750  # episodes of stable that take as long as one run of fast
SHORT_BUDGET = 1500  # episodes of stable: twice the time of one run of fast


def rate_cases() -> tuple[Case, ...]:
    """Build the learning-rate cases: the report's settings and our preset of fast, each with only the rate changed.

    With Adam and RMSprop, the report's settings are `reported/SIZE`; with SGD, they are `reported/SIZE-sgd`. Stable
    runs for its first episodes only, with the categorical of `policy.head=fast`: the same policy in half the time.
    """
    preset = our_preset("fast")
    return (
        *(
            _rate_case(size, optimizer, rate)
            for optimizer, rates in OPTIMIZER_RATES.items()
            for size in ("fast", "stable")
            for rate in rates
            if (optimizer, rate) != ("adam", REPORTED_RATE)
        ),
        *(Case("fast", f"preset-rate-{rate}", _at_rate(preset, rate), max_seeds=FEW_SEEDS) for rate in RATES),
    )


def rate_variant(optimizer: str, rate: str) -> str:
    """Return the variant name of the report's settings with this optimizer and learning rate."""
    return f"rate-{rate}" if optimizer == "adam" else f"{optimizer}-rate-{rate}"


def _rate_case(size: str, optimizer: str, rate: str) -> Case:
    is_sgd = optimizer == "sgd"
    layer = _at_rate(read_layer(f"reported/{size}-sgd" if is_sgd else f"reported/{size}"), rate)
    if optimizer == "rmsprop":
        layer = merge_layers(layer, {"policy": {"optimizer": optimizer}})
    if size == "stable":
        whole = is_sgd and rate in WHOLE_SGD_RATES
        layer = merge_layers(layer if whole else shortened(layer, RATE_STUDY_EPISODES), {"policy": {"head": "fast"}})
    seeds = CLOSER_SEEDS if is_sgd and rate in CLOSER_SGD_RATES else FEW_SEEDS
    return Case(size, rate_variant(optimizer, rate), layer, max_seeds=seeds)


def _at_rate(layer: dict[str, Any], rate: str) -> dict[str, Any]:
    section = section_name(layer.get("algorithm", "ppo"))
    return merge_layers(layer, {section: {"learning_rate": float(rate)}})


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
