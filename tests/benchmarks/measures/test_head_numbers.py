"""What a head learned, in the task's units, on a language whose numbers can be worked out by hand."""

import numpy as np
import pytest
import torch

from agents.policies.tied_head import KNOTS, TiedHead, language_prior
from benchmarks.measures.head_numbers import Constants, HeadNumbers, head_numbers
from token_env.languages.language import from_arrays


@pytest.fixture
def language():
    """Three tokens with rarities 0, 0.2 and 0.4, where the head has knots."""
    powers = np.array([0.0, -2.0, -4.0])
    return from_arrays(
        log_unigram=powers - np.log(np.exp(powers).sum()), context=np.eye(3), output=np.eye(3), surface=["a", "b", "c"]
    )


def numbers(language, **changes):
    """A head that pays and punishes as the task does, with logits of four times the scale of rewards."""
    exact = {
        "constants": Constants.in_use(),
        "scalar": 3.0,
        "matrix_diagonal": 1.0,
        "matrix_rest": 0.0,
        "slopes": (0.0, 8.0),
        "places": (2.0, 5.0),
        "emphasis": tuple(np.exp(5 * np.array(KNOTS)) * language.payment[0]),
    }
    return HeadNumbers(**exact | changes)


def test_a_head_that_learned_the_rewards_has_their_numbers_at_any_scale(language):
    for scale in (1.0, 10.0):
        head = numbers(language, scalar=3.0 * scale, matrix_diagonal=scale, slopes=(0.0, 8.0 * scale))
        assert head.temperature(language) == pytest.approx(0.25 / scale)
        assert head.payment(language.rarity, language) == pytest.approx(language.payment)
        assert head.penalty([4.0, 5.0, 7.0], language) == pytest.approx([0.0, 0.0, 4.0])


def test_a_penalty_is_the_sum_of_all_bends(language):
    head = numbers(language, slopes=(1.0, 8.0))
    once = head.temperature(language)
    assert head.penalty(6.0, language) == pytest.approx(once * (4.0 * 1.0 + 1.0 * 8.0))


def test_numbers_are_those_that_the_formula_uses(small_language):
    head = TiedHead(language_prior(small_language))
    with torch.no_grad():
        head.scalar += 0.1
        head.matrix += torch.tensor([[1.0, 0.0], [2.0, 3.0]])
        head.knots[1] += 0.2
    numbers = head_numbers(head)
    assert numbers.scalar == pytest.approx(head.learned("scalar").item())
    (first, _), (below, _) = head.learned("matrix").tolist()
    assert numbers.matrix_diagonal == pytest.approx(2 * first, abs=1e-5)
    assert numbers.matrix_rest == pytest.approx(np.sqrt(below**2 + 2 * first**2), abs=1e-4)
    assert numbers.places == pytest.approx(head.learned("places").tolist())
    seen = torch.tensor([[0.1, 0.3]])
    assert numbers.emphasis_at([0.1, 0.3]) == pytest.approx(head.emphasis(seen)[0].tolist())
