"""Answer what the report leaves open. The docstring of what judges a claim is its rule."""

from agents.evaluation.statistics import difference_interval
from benchmarks.claims.evidence import PLAIN, Evidence, Source, cell, claimed, sized
from benchmarks.claims.verdict import Claim, Parts, VerdictPart, above, below, told
from benchmarks.measures.figures import Figure, score, share_of_optimum, training_minutes
from benchmarks.measures.row import Row
from benchmarks.suite.claim_cases import TOKENS, UNITS, grid_variant

POINTS = 1.0  # of score: less is no loss
REWARDS = ("terminal", "potential", "exact")
FAR = ("terminal", "potential")  # that were also tried with γ = 1


def score_without_masks(row: Row) -> Figure:
    """The score where every token may be said."""
    assert row.without_masks is not None
    return share_of_optimum(row.without_masks.mean_return, row)


def rewards(evidence: Evidence) -> Parts:
    """Fast's preset for each reward, scored by what dense pays: dense is ahead of every other (Welch), also where
    terminal and potential are trained with γ = 1 and λ = 0.95; contradicted if one is ahead of it.
    """
    dense = sized("fast")
    asked = {reward: claimed(f"fast/reward-{reward}") for reward in REWARDS}
    asked |= {f"{reward} with γ = 1": claimed(f"fast/reward-{reward}-far") for reward in FAR}
    far = claimed("fast/reward-dense-far")
    parts = []
    for name, source in asked.items():
        lead, reached = evidence.difference(dense, source, score), evidence.mean(source, score)
        words = f"Trained for {name} an agent scores {told(reached, '.1f')}, dense {told(lead, '+.1f')} points more."
        parts.append(VerdictPart(words, above(lead)))
    own, control = evidence.mean(dense, score), evidence.mean(far, score)
    return [*parts, VerdictPart(f"Dense itself scores {told(own, '.1f')}, with γ = 1 {told(control, '.1f')}.")]


def curriculum(evidence: Evidence) -> Parts:
    """Fast's preset with and without: more than 1 point of score is gained (interval of the difference above 1, Welch);
    contradicted if it lies below.
    """
    gain = evidence.difference(claimed("fast/curriculum"), sized("fast"), score)
    return [VerdictPart(f"A curriculum changes the score of fast by {told(gain, '+.1f')} points.", above(gain, POINTS))]


def masks(evidence: Evidence) -> Parts:
    """Fast's preset, with the tied head and with plain logits: at most 1 point of score is lost against agents trained
    without masks (interval of the difference above −1, Welch); contradicted if it lies below.
    """
    heads = (
        ("the tied head", claimed("fast/masks"), sized("fast")),
        ("plain logits", claimed("fast/plain-masks"), PLAIN),
    )
    return [part for head in heads for part in _unmasked(evidence, *head)]


def _unmasked(evidence: Evidence, head: str, with_masks: Source, without: Source) -> Parts:
    free, never = evidence.mean(with_masks, score_without_masks), evidence.mean(without, score)
    loss = difference_interval(evidence.values(with_masks, score_without_masks), evidence.values(without, score))
    kept = evidence.difference(with_masks, without, score)
    words = f"With {head}: trained with masks and tested without {told(free, '.1f')}, never masked {told(never, '.1f')}"
    return [
        VerdictPart(f"{words}, difference {told(loss, '+.1f')} points.", above(loss, -POINTS)),
        VerdictPart(f"With {head} and the masks kept at the test the difference is {told(kept, '+.1f')} points."),
    ]


def intermediate(evidence: Evidence) -> Parts:
    """Fast's preset with 5,000 tokens: 512 units bring less than 1 point of score (interval of the difference below 1,
    Welch); contradicted if it lies above.
    """
    middle = sized("intermediate")
    more = evidence.difference(cell(512, 5000), middle, score)
    wide, narrow = (claimed(f"plain/{grid_variant(units, 5000)}") for units in (512, 256))
    plain = evidence.difference(wide, narrow, score)
    stable = evidence.difference(middle, sized("stable"), score)
    took, longer = (evidence.mean(sized(size), training_minutes).estimate for size in ("intermediate", "stable"))
    return [
        VerdictPart(f"512 instead of 256 units change the score by {told(more, '+.1f')} points.", below(more, POINTS)),
        VerdictPart(f"With plain logits they change it by {told(plain, '+.1f')} points."),
        *(_row_of_grid(evidence, tokens) for tokens in TOKENS),
        VerdictPart(
            f"The score of intermediate less that of stable is {told(stable, '+.1f')} points, in {took:.1f} minutes, "
            f"not {longer:.1f}."
        ),
    ]


def _row_of_grid(evidence: Evidence, tokens: int) -> VerdictPart:
    scores = ", ".join(f"{units} units {evidence.mean(cell(units, tokens), score).estimate:.1f}" for units in UNITS)
    return VerdictPart(f"Score at {tokens:,} tokens and 30 steps: {scores}.")


OPEN_QUESTIONS = (
    Claim("intermediate", "256 hidden units are enough for 5,000 tokens.", intermediate),
    Claim("rewards", "The dense reward is the one to train with.", rewards),
    Claim("curriculum", "A curriculum brings more than a point of score.", curriculum),
    Claim("masks", "Masks can be used in training and left out afterwards.", masks),
)
