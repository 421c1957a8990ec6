"""Which model answers a request, in which task."""

import numpy as np
import pytest

from agents.serving.deployment import Deployment, Split, variant_of
from token_env.errors import SettingError


def test_who_answers_never_changes():
    """Neither with the process nor with the version: a request that is repeated tomorrow meets the same model."""
    assert "".join(variant_of(f"request {number}", 0.5, "models") for number in range(16)) == "BBBAABABAAAABBAA"


@pytest.mark.parametrize("share_b", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_split_is_close_to_the_share(share_b):
    answered = np.array([variant_of(f"request {number}", share_b, "models") == "B" for number in range(20_000)])
    assert abs(answered.mean() - share_b) <= 4 * np.sqrt(share_b * (1 - share_b) / 20_000)
    again = np.array([variant_of(f"request {number}", share_b, "others") == "B" for number in range(20_000)])
    both = (answered & again).mean()
    assert both == pytest.approx(share_b**2, abs=0.015)  # of another experiment nothing is known


def test_a_larger_share_takes_nobody_from_b():
    small, large = ([variant_of(f"{number}", share, "x") == "B" for number in range(2_000)] for share in (0.1, 0.3))
    assert all(now or not before for before, now in zip(small, large, strict=True))


def test_the_smaller_vocabulary_is_that_of_both(models):
    deployment = Deployment(models("plain"), models("masked"), Split(0.5))
    assert (deployment.task.vocab_size, deployment.task.max_steps, deployment.task.split) == (64, 8, "test")


@pytest.mark.parametrize(
    ("kinds", "split", "message"),
    [
        (("plain", "masked"), Split(2.0), "share_b is 2; it must be from 0 to 1."),
        (("plain", "masked"), Split(float("nan")), "share_b is nan; it must be from 0 to 1."),
        (("plain",), Split(0.1), "there is no model B"),
        (("plain",), Split(0.0, shadow=True), "there is no model B"),
        (("plain", "masked"), Split(0.1, shadow=True), "but not both"),
        (("plain", "english"), Split(0.1), "the models have different languages"),
        (("plain", "tokens"), Split(0.1), "or different observations"),
    ],
)
def test_models_that_cannot_be_deployed_are_refused(models, kinds, split, message):
    with pytest.raises(SettingError, match=message):
        Deployment(*map(models, kinds), **({"split": split} if len(kinds) == 2 else {"b": None, "split": split}))
