"""Define the cases of the page on learning: heads of a policy, and what each part of the planning head contributes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from agents.policies.tied_head import BENDS, LR_MULTIPLIERS
from agents.settings.layers import merge_layers, read_layer
from benchmarks.suite.case import Case

PROBLEMS = 200  # validation problems, during a training and at its end; test problems stay unseen
CURVE_POINTS, FEW_POINTS = 25, 5  # validations during a training: of heads, whose curves are drawn, and of ablations
PINNED = 1e-6  # multiplier with which the steps of Adam are below the precision of float32


class Change(NamedTuple):
    """What a case changes in a preset."""

    label: str  # name on the page
    settings: Mapping[str, Any] = {}  # in the form of a settings file
    constants: Mapping[str, Any] | None = None  # constants of `agents.policies.tied_head`
    preset: str = "fast"  # preset that is changed


def _deeper(depth: int) -> Change:
    return Change(f"planning, depth {depth}", {"env": {"lookahead": depth}, "policy": {"depth": depth}})


def _policy(label: str, **settings: int) -> Change:
    return Change(label, {"policy": settings})


def _ppo(label: str, **settings: float) -> Change:
    return Change(label, {"ppo": settings})


def _multipliers(label: str, **multipliers: float) -> Change:
    return Change(label, {}, {"LR_MULTIPLIERS": LR_MULTIPLIERS | multipliers})


PLANNING = "planning"
HEADS = {
    "stock": Change("stock", {"policy": {"head": "stock"}}, preset="tied/fast"),
    "fast": Change("fast", {"policy": {"head": "fast"}}, preset="tied/fast"),
    "tied": Change("tied", preset="tied/fast"),
    PLANNING: Change("planning, depth 1"),
    "planning-2": _deeper(2),
    "planning-3": _deeper(3),
}
ABLATIONS = {
    "no-emphasis": _multipliers("g = 1 for all words", knots=0.0),
    "pinned-bends": _multipliers(f"bends stay at {', '.join(f'{place:g}' for place in BENDS)} nats", places=PINNED),
    "one-bend": Change("one bend, at first at 4 nats", {}, {"BENDS": (4.0,)}),
    "four-bends": Change("four bends, at first at 2, 4, 6 and 8 nats", {}, {"BENDS": (2.0, 4.0, 6.0, 8.0)}),
    "no-matrix": _multipliers("w without W", matrix=0.0),
    "steady-matrix": Change("W's factor does not grow", {}, {"MATRIX_GROWTH": 0.0}),
    "fast-matrix": _multipliers(f"W ×4 instead of ×{LR_MULTIPLIERS['matrix']:g}", matrix=4.0),
    "matrix-alone": _multipliers("W ×4 without w", scalar=0.0, matrix=4.0),
    "fast-scalar": _multipliers(f"w ×160 instead of ×{LR_MULTIPLIERS['scalar']:g}", scalar=160.0),
    "critic-alone": Change("critic without the features of the plan", {}, {"VALUE_SCALE": 0.0}),
    "shortlist-8": _policy("shortlist 8", shortlist=8),
    "shortlist-16": _policy("shortlist 16", shortlist=16),
    "shortlist-64": _policy("shortlist 64", shortlist=64),
    "successors-8": _policy("successors 8", successors=8),
    "successors-16": _policy("successors 16", successors=16),
    "successors-64": _policy("successors 64", successors=64),
    "gamma-0.5": _ppo("γ 0.5", gamma=0.5),
    "gamma-0.9": _ppo("γ 0.9", gamma=0.9),
    "lambda-0.8": _ppo("GAE's λ 0.8", gae_lambda=0.8),
    "environments-20": _ppo("20 environments instead of 10", n_envs=20),
    "slower": _ppo("learning rate 2e-3 instead of 5e-3", learning_rate=2e-3),
    "no-entropy": _ppo("entropy coefficient 0", ent_coef=0.0),
    "epochs-2": _ppo("2 epochs instead of 4", n_epochs=2),
    "epochs-10": _ppo("10 epochs", n_epochs=10),
    "episodes-4000": Change("4,000 episodes", {"episodes": 4000}),
}


def learning_cases() -> tuple[Case, ...]:
    """Build the cases of fast: every head, and the planning head with one change each."""
    return (
        *(_case(variant, change, CURVE_POINTS) for variant, change in HEADS.items()),
        *(_case(variant, change, FEW_POINTS) for variant, change in ABLATIONS.items()),
    )


def _case(variant: str, change: Change, validations: int) -> Case:
    held_out = {
        "checkpoints": {"validations": validations, "problems": PROBLEMS},
        "evaluation": {"split": "validation", "problems": PROBLEMS},
    }
    layer = merge_layers(merge_layers(read_layer(change.preset), change.settings), held_out)
    return Case("fast", variant, layer, constants=change.constants)
