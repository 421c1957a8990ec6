"""Define the additional cases that test the claims of the original report."""

from typing import Any

from agents.settings.layers import merge_layers, preset_layer, read_layer
from agents.settings.schema import section_name
from benchmarks.suite.case import Case, plain_preset, shortened

FEW_SEEDS, COMPARED_SEEDS = 3, 5  # seeds of cases that are points of a curve, and of cases that a rule compares
RATES = ("1e-6", "1e-5", "1e-4", "3e-4", "1e-3", "3e-3")
PRESET_RATES = (*RATES, "1e-2", "2e-2")  # of our preset, whose own lies inside
REPORTED_RATE = "1e-6"  # its runs with Adam belong to fast-vs-stable
SGD_RATE = "1e-1"  # that of reported/fast-sgd and reported/stable-sgd
OPTIMIZER_RATES = {  # learning rates by policy.optimizer; with each, the best lies inside
    "adam": (*RATES, "1e-2", "3e-2"),
    "rmsprop": (*RATES, "1e-2", "3e-2"),
    "sgd": (*(f"{digit}e-{power}" for power in range(6, 0, -1) for digit in (1, 3)), "1e0"),
}
CLOSER_SGD_RATES = (REPORTED_RATE, "3e-2", SGD_RATE, "3e-1")  # of them a rule says more than a point of a curve does
WHOLE_SGD_RATES = (REPORTED_RATE, SGD_RATE)  # stable plays all its episodes with these
RATE_STUDY_EPISODES = 400  # episodes of stable per learning rate: a twelfth of the report's
UNITS, TOKENS = (128, 256, 512), (1000, 2500, 5000)  # hidden units and vocabulary sizes of the capacity grid
PRESET_CELLS = {(256, 1000): "fast", (256, 5000): "intermediate"}  # grid cells that are presets of these sizes
EPISODES_PER_FAST_RUN = 750  # episodes of stable that take as long as one run of fast
SHORT_BUDGET = 1500  # episodes of stable: twice the time of one run of fast
REWARDS = ("dense", "terminal", "potential", "exact")  # rewards of the task that fast is trained with


def rate_cases() -> tuple[Case, ...]:
    """Build the learning-rate cases: the report's settings and our preset of fast, each with only the rate changed.

    With Adam and RMSprop, the report's settings are `reported/SIZE`; with SGD, they are `reported/SIZE-sgd`. Stable
    runs for its first episodes only, with the categorical of `policy.head=fast`: the same policy in half the time.
    """
    preset = preset_layer("fast")
    return (
        *(
            _rate_case(size, optimizer, rate)
            for optimizer, rates in OPTIMIZER_RATES.items()
            for size in ("fast", "stable")
            for rate in rates
            if (optimizer, rate) != ("adam", REPORTED_RATE)
        ),
        *(Case("fast", f"preset-rate-{rate}", _at_rate(preset, rate), max_seeds=FEW_SEEDS) for rate in PRESET_RATES),
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
    seeds = COMPARED_SEEDS if is_sgd and rate in CLOSER_SGD_RATES else FEW_SEEDS
    return Case(size, rate_variant(optimizer, rate), layer, max_seeds=seeds)


def _at_rate(layer: dict[str, Any], rate: str) -> dict[str, Any]:
    section = section_name(layer.get("algorithm", "ppo"))
    return merge_layers(layer, {section: {"learning_rate": float(rate)}})


def grid_cases() -> tuple[Case, ...]:
    """Build the grid of hidden units × vocabulary on our presets; with plain logits only its corners, on fast's."""
    corners = [(512, 1000), (256, 5000), (512, 5000)]  # the fourth corner is a case of the benchmark `heads`
    cells = [(units, tokens) for tokens in TOKENS for units in UNITS if (units, tokens) not in PRESET_CELLS]
    return (
        *(
            Case("grid", grid_variant(*cell), _cell(_preset_of(cell), *cell), max_seeds=_seeds_of(cell))
            for cell in cells
        ),
        *(
            Case("plain", grid_variant(*cell), _cell(plain_preset("fast"), *cell), max_seeds=COMPARED_SEEDS)
            for cell in corners
        ),
    )


def grid_variant(units: int, tokens: int) -> str:
    """Return the variant name of a grid cell."""
    return f"{units}-units-{tokens}-tokens"


def _cell(layer: dict[str, Any], units: int, tokens: int) -> dict[str, Any]:
    return merge_layers(layer, {"env": {"vocab_size": tokens}, "policy": {"hidden": [units, units]}})


def _preset_of(cell: tuple[int, int]) -> dict[str, Any]:
    """Return the preset of which a cell has the settings: with 5,000 tokens a plan considers more successors."""
    return preset_layer("intermediate" if cell[1] == max(TOKENS) else "fast")


def _seeds_of(cell: tuple[int, int]) -> int:
    return COMPARED_SEEDS if cell in {(512, 1000), (512, 5000)} else FEW_SEEDS


def budget_cases() -> tuple[Case, ...]:
    """Build the cases of fast with half the episodes, with our preset and with plain logits."""
    return tuple(
        Case(group, "half", shortened(layer, layer["episodes"] // 2), max_seeds=COMPARED_SEEDS)
        for group, layer in (("fast", preset_layer("fast")), ("plain", plain_preset("fast")))
    )


def hybrid_cases() -> tuple[Case, ...]:
    """Build the cases that begin with fast and end with stable: with the settings of fast, or with its weights.

    Weights are transferred at two budgets. The cases whose names end in `-control` play the episodes of the second
    training from random weights, with the same falling learning rate. Stable alone at its full budget is a case of
    fast-vs-stable.
    """
    fast, stable = preset_layer("fast"), preset_layer("stable")
    cases = [
        Case("stable", "fast-settings", _with_settings_of(fast, stable)),
        Case("stable", "short", shortened(stable, SHORT_BUDGET)),
    ]
    for name, budget in (("short-hybrid", SHORT_BUDGET), ("hybrid", stable["episodes"])):
        second = shortened(stable, budget - EPISODES_PER_FAST_RUN)
        cases += [Case("stable", name, second, start=fast), Case("stable", f"{name}-control", second)]
    return tuple(case._replace(max_seeds=COMPARED_SEEDS) for case in cases)


def _with_settings_of(source: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of one preset for the task, the network and the episodes of another."""
    ppo = source["ppo"] | {"n_steps": size["ppo"]["n_steps"]}  # whole episodes
    policy = source["policy"] | {"hidden": size["policy"]["hidden"]}
    return size | {"ppo": ppo, "policy": policy}


def reward_cases() -> tuple[Case, ...]:
    """Build the cases of fast's preset with other rewards, and of all with γ = 1: final rewards reach early steps."""
    far = {"ppo": {"gamma": 1.0, "gae_lambda": 0.95}}
    return (
        *(Case("fast", f"reward-{reward}", _fast({"env": {"reward": reward}})) for reward in REWARDS[1:]),
        *(Case("fast", f"reward-{reward}-far", _fast({"env": {"reward": reward}}, far)) for reward in REWARDS),
    )


def other_cases() -> tuple[Case, ...]:
    """Build the cases of fast's preset with a curriculum, with masks, and with masks and plain logits."""
    masks = {"algorithm": "maskable-ppo"}
    return (
        Case("fast", "curriculum", _fast({"curriculum": {"enabled": True}}), max_seeds=COMPARED_SEEDS),
        Case("fast", "masks", _fast(masks), max_seeds=COMPARED_SEEDS),
        Case("fast", "plain-masks", merge_layers(plain_preset("fast"), masks), max_seeds=COMPARED_SEEDS),
    )


def _fast(*changes: dict[str, Any]) -> dict[str, Any]:
    layer = preset_layer("fast")
    for change in changes:
        layer = merge_layers(layer, change)
    return layer


CLAIM_CASES = (
    *other_cases(),
    *reward_cases(),
    *hybrid_cases(),
    *budget_cases(),
    *rate_cases(),
    *grid_cases(),
)
