"""Answer questions that the report leaves open. The docstring of a judging function is the published rule."""

from agents.evaluation.statistics import difference_interval
from benchmarks.claims.evidence import PLAIN, Evidence, Source, claim_source, grid_source, size_source
from benchmarks.claims.verdict import Claim, Parts, VerdictPart, above, below, estimate_text
from benchmarks.measures.figures import Figure, score, share_of_optimum, training_minutes
from benchmarks.measures.row import Row
from benchmarks.suite.claim_cases import TOKENS, UNITS, grid_variant

NEGLIGIBLE_POINTS = 1.0  # points of score; a smaller difference does not matter
REWARDS = ("terminal", "potential", "exact")  # rewards compared with dense
UNDISCOUNTED_REWARDS = ("terminal", "potential")  # rewards that were also trained with γ = 1


def score_without_masks(row: Row) -> Figure:
    """Return the score of an agent on test problems without action masks."""
    assert row.without_masks is not None
    return share_of_optimum(row.without_masks.mean_return, row)


def rewards(evidence: Evidence) -> Parts:
    """Fast's preset for each reward, scored by what dense pays: dense is ahead of every other (Welch), also where
    terminal and potential are trained with γ = 1 and λ = 0.95; contradicted if one is ahead of it.
    """
    dense, dense_undiscounted = size_source("fast"), claim_source("fast/reward-dense-far")
    sources = {reward: claim_source(f"fast/reward-{reward}") for reward in REWARDS}
    sources |= {f"{reward} with γ = 1": claim_source(f"fast/reward-{reward}-far") for reward in UNDISCOUNTED_REWARDS}
    parts = []
    for name, source in sources.items():
        lead, mean = evidence.difference(dense, source, score), evidence.mean(source, score)
        sentence = (
            f"Trained for {name} an agent scores {estimate_text(mean, '.1f')}, dense {estimate_text(lead, '+.1f')} "
            "points more."
        )
        parts.append(VerdictPart(sentence, above(lead)))
    own, undiscounted = evidence.mean(dense, score), evidence.mean(dense_undiscounted, score)
    control = f"Dense itself scores {estimate_text(own, '.1f')}, with γ = 1 {estimate_text(undiscounted, '.1f')}."
    return [*parts, VerdictPart(control)]


def curriculum(evidence: Evidence) -> Parts:
    """Fast's preset with and without: more than 1 point of score is gained (interval of the difference above 1, Welch);
    contradicted if it lies below.
    """
    gain = evidence.difference(claim_source("fast/curriculum"), size_source("fast"), score)
    sentence = f"A curriculum changes the score of fast by {estimate_text(gain, '+.1f')} points."
    return [VerdictPart(sentence, above(gain, NEGLIGIBLE_POINTS))]


def masks(evidence: Evidence) -> Parts:
    """Fast's preset, with the tied head and with plain logits: at most 1 point of score is lost against agents trained
    without masks (interval of the difference above −1, Welch); contradicted if it lies below.
    """
    heads = (
        ("the tied head", claim_source("fast/masks"), size_source("fast")),
        ("plain logits", claim_source("fast/plain-masks"), PLAIN),
    )
    return [part for head in heads for part in _unmasked(evidence, *head)]


def _unmasked(evidence: Evidence, head: str, with_masks: Source, without: Source) -> Parts:
    unmasked, never_masked = evidence.mean(with_masks, score_without_masks), evidence.mean(without, score)
    loss = difference_interval(evidence.values(with_masks, score_without_masks), evidence.values(without, score))
    masked_difference = evidence.difference(with_masks, without, score)
    return [
        VerdictPart(
            f"With {head}: trained with masks and tested without {estimate_text(unmasked, '.1f')}, "
            f"never masked {estimate_text(never_masked, '.1f')}, difference {estimate_text(loss, '+.1f')} points.",
            above(loss, -NEGLIGIBLE_POINTS),
        ),
        VerdictPart(
            f"With {head} and the masks kept at the test the difference is "
            f"{estimate_text(masked_difference, '+.1f')} points."
        ),
    ]


def intermediate(evidence: Evidence) -> Parts:
    """Fast's preset with 5,000 tokens: 512 units bring less than 1 point of score (interval of the difference below 1,
    Welch); contradicted if it lies above.
    """
    preset = size_source("intermediate")
    gain = evidence.difference(grid_source(512, 5000), preset, score)
    wide, narrow = (claim_source(f"plain/{grid_variant(units, 5000)}") for units in (512, 256))
    plain_gain = evidence.difference(wide, narrow, score)
    lead = evidence.difference(preset, size_source("stable"), score)
    minutes = {size: evidence.mean(size_source(size), training_minutes).estimate for size in ("intermediate", "stable")}
    return [
        VerdictPart(
            f"512 instead of 256 units change the score by {estimate_text(gain, '+.1f')} points.",
            below(gain, NEGLIGIBLE_POINTS),
        ),
        VerdictPart(f"With plain logits they change it by {estimate_text(plain_gain, '+.1f')} points."),
        *(_row_of_grid(evidence, tokens) for tokens in TOKENS),
        VerdictPart(
            f"The score of intermediate less that of stable is {estimate_text(lead, '+.1f')} points, "
            f"in {minutes['intermediate']:.1f} minutes, not {minutes['stable']:.1f}."
        ),
    ]


def _row_of_grid(evidence: Evidence, tokens: int) -> VerdictPart:
    means = {units: evidence.mean(grid_source(units, tokens), score).estimate for units in UNITS}
    scores = ", ".join(f"{units} units {mean:.1f}" for units, mean in means.items())
    return VerdictPart(f"Score at {tokens:,} tokens and 30 steps: {scores}.")


OPEN_QUESTIONS = (
    Claim("intermediate", "256 hidden units are enough for 5,000 tokens.", intermediate),
    Claim("rewards", "The dense reward is the one to train with.", rewards),
    Claim("curriculum", "A curriculum brings more than a point of score.", curriculum),
    Claim("masks", "Masks can be used in training and left out afterwards.", masks),
)
