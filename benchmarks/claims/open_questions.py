"""Answer questions that the report leaves open. The docstring of a judging function is the published rule."""

from scipy import stats

from agents.evaluation.statistics import probability_of_improvement
from benchmarks.claims.budget_rules import NEGLIGIBLE_POINTS
from benchmarks.claims.evidence import PLAIN, Evidence, Source, claim_source, grid_source, size_source
from benchmarks.claims.verdict import (
    CONTRADICTED,
    NOT_DECIDABLE,
    SUPPORTED,
    Claim,
    Parts,
    VerdictPart,
    above,
    below,
    estimate_text,
)
from benchmarks.measures.figures import Figure, cpu_minutes, of_whole_run
from benchmarks.measures.row import Row
from benchmarks.measures.shares import score, share_of_optimum, validation_score
from benchmarks.suite.cases import LEARNING
from benchmarks.suite.claim_cases import REWARDS, TOKENS, UNITS, grid_variant
from benchmarks.suite.learning_cases import PLANNING

MAX_COMPUTE_RATIO = 1.1  # the winner may use at most this multiple of the other's compute
WRITTEN = "Written on 2026-11-28, before its runs were made."
REWRITTEN = (
    "Rewritten on 2026-11-28 for scores on validation problems and runs paired by seed. Known were runs of presets "
    "without a plan; those it is judged by were made afterwards."
)


def planning(evidence: Evidence) -> Parts:
    """Fast, the benchmark `learning`: the score with the planning head is higher than with the tied head, each with the
    settings of its preset, on validation problems, runs paired by seed. Contradicted if it is lower.
    """
    plans, tied = (Source(LEARNING, f"fast/{variant}") for variant in (PLANNING, "tied"))
    gain = evidence.paired(plans, tied, validation_score)
    return [VerdictPart(f"Planning changes the score by {estimate_text(gain, '+.1f')} points.", above(gain))]


def rewards(evidence: Evidence) -> Parts:
    """Fast's preset for each reward, with its own γ and with γ = 1 and λ = 0.95, scored by what dense pays on
    validation problems. Variances are unlike, so ranks decide (Mann–Whitney, exact): runs trained with dense score
    higher than those of every other reward with the same γ; contradicted if those of one score higher.
    """
    dense = {"": size_source("fast"), "-far": claim_source("fast/reward-dense-far")}
    return [part for suffix, source in dense.items() for part in _other_rewards(evidence, suffix, source)]


def _other_rewards(evidence: Evidence, suffix: str, dense: Source) -> Parts:
    discount, of_dense = "γ = 1" if suffix else "the preset's γ", evidence.values(dense, validation_score)
    own = estimate_text(evidence.mean(dense, validation_score), ".1f")
    parts = [VerdictPart(f"Trained for dense with {discount} an agent scores {own}.")]
    for reward in REWARDS[1:]:
        source = claim_source(f"fast/reward-{reward}{suffix}")
        values = evidence.values(source, validation_score)
        share = probability_of_improvement(of_dense, values)
        pvalue = float(stats.mannwhitneyu(of_dense, values, method="exact").pvalue)
        outcome = SUPPORTED if share > 0.5 else CONTRADICTED
        mean = estimate_text(evidence.mean(source, validation_score), ".1f")
        sentence = (
            f"Trained for {reward} with {discount} it scores {mean}; dense is ahead in {100 * share:.0f} % of the "
            f"pairs of runs (p = {pvalue:.2g})."
        )
        parts.append(VerdictPart(sentence, outcome if pvalue < 1 - evidence.confidence else NOT_DECIDABLE))
    return parts


def curriculum(evidence: Evidence) -> Parts:
    """Fast's preset with and without: more than 1 point of score is gained on validation problems, runs paired by seed
    (interval of the difference above 1); contradicted if it lies below.
    """
    gain = evidence.paired(claim_source("fast/curriculum"), size_source("fast"), validation_score)
    sentence = f"A curriculum changes the score of fast by {estimate_text(gain, '+.1f')} points."
    return [VerdictPart(sentence, above(gain, NEGLIGIBLE_POINTS))]


def score_without_masks(row: Row) -> Figure:
    """Return the score of an agent on test problems without action masks; None if it diverged or never had any."""
    return share_of_optimum(row.without_masks.mean_return, row) if row.without_masks else None


def masks(evidence: Evidence) -> Parts:
    """Fast's preset, and plain logits: at most 1 point of score is lost on test problems against agents trained without
    masks, runs paired by seed (interval of the difference above −1); contradicted if it lies below.
    """
    heads = (
        ("our preset", claim_source("fast/masks"), size_source("fast")),
        ("plain logits", claim_source("fast/plain-masks"), PLAIN),
    )
    return [part for head in heads for part in _unmasked(evidence, *head)]


def _unmasked(evidence: Evidence, head: str, with_masks: Source, without: Source) -> Parts:
    loss = evidence.paired(with_masks, without, score_without_masks, score)
    mean = evidence.mean(with_masks, score_without_masks)
    masked_gain = evidence.paired(with_masks, without, score)
    return [
        VerdictPart(
            f"With {head}: trained with masks and tested without {estimate_text(mean, '.1f')}, that is "
            f"{estimate_text(loss, '+.1f')} points against agents that were never masked.",
            above(loss, -NEGLIGIBLE_POINTS),
        ),
        VerdictPart(
            f"With {head} and the masks kept at the test the difference is {estimate_text(masked_gain, '+.1f')} points."
        ),
    ]


def intermediate(evidence: Evidence) -> Parts:
    """Fast's preset, and plain logits, with 5,000 tokens: 512 units bring less than 1 point of score on validation
    problems, runs paired by seed (interval of the difference below 1); contradicted if it lies above with one of them.
    """
    wide, narrow = (claim_source(f"plain/{grid_variant(units, 5000)}") for units in (512, 256))
    heads = (("our preset", grid_source(512, 5000), size_source("intermediate")), ("plain logits", wide, narrow))
    parts = []
    for head, larger, smaller in heads:
        gain = evidence.paired(larger, smaller, validation_score)
        sentence = f"With {head} 512 instead of 256 units change the score by {estimate_text(gain, '+.1f')} points."
        parts.append(VerdictPart(sentence, below(gain, NEGLIGIBLE_POINTS)))
    lead = evidence.difference(size_source("intermediate"), size_source("stable"), score)
    minutes = {size: evidence.mean(size_source(size), cpu_minutes).estimate for size in ("intermediate", "stable")}
    return [
        *parts,
        *(_row_of_grid(evidence, tokens) for tokens in TOKENS),
        VerdictPart(
            f"The score of intermediate less that of stable is {estimate_text(lead, '+.1f')} points, "
            f"in {minutes['intermediate']:.1f} minutes of processor time, not {minutes['stable']:.1f}."
        ),
    ]


def _row_of_grid(evidence: Evidence, tokens: int) -> VerdictPart:
    means = {units: evidence.mean(grid_source(units, tokens), validation_score).estimate for units in UNITS}
    scores = ", ".join(f"{units} units {mean:.1f}" for units, mean in means.items())
    return VerdictPart(f"Score at {tokens:,} tokens and 30 steps: {scores}.")


def weights_from_fast(evidence: Evidence) -> Parts:
    """Fast's preset, then stable from its weights, against stable alone, on validation problems, runs paired by seed.
    The run of fast takes the place of episodes of stable; its processor time, at the pace of the episodes behind it,
    tells what it really took: who is ahead may have used a tenth more than the other, else the budget decides nothing.
    Supported if it is ahead at one of two budgets and behind at none, contradicted the other way round. A control with
    random weights plays the same episodes with the same falling learning rate.
    """
    budgets = (
        (size_source("stable"), claim_source("stable/hybrid")),
        (claim_source("stable/short"), claim_source("stable/short-hybrid")),
    )
    comparisons = [_at_equal_compute(evidence, *budget) for budget in budgets]
    outcomes = {part.outcome for part in comparisons} - {NOT_DECIDABLE}
    verdict = outcomes.pop() if len(outcomes) == 1 else NOT_DECIDABLE
    decisive_first = sorted(comparisons, key=lambda part: part.outcome != verdict)
    return [
        *(VerdictPart(part.sentence, verdict) for part in decisive_first),
        *(_weights_alone(evidence, transferred) for _, transferred in budgets),
    ]


def _at_equal_compute(evidence: Evidence, alone: Source, transferred: Source) -> VerdictPart:
    """Compare the scores at one budget."""
    episodes = evidence.rows(alone)[0].settings.episodes
    share = evidence.mean(transferred, compute_in_episodes).estimate / episodes
    gain = evidence.paired(transferred, alone, validation_score)
    sentence = (
        f"For the compute of {episodes:,} episodes of stable (used: {100 * share:.0f} %) fast first changes the score "
        f"by {estimate_text(gain, '+.1f')} points."
    )
    fair = share <= MAX_COMPUTE_RATIO if gain.estimate > 0 else share >= 1 / MAX_COMPUTE_RATIO
    return VerdictPart(sentence, above(gain) if fair else NOT_DECIDABLE)


def _weights_alone(evidence: Evidence, transferred: Source) -> VerdictPart:
    episodes = evidence.rows(transferred)[0].settings.episodes
    gain = evidence.paired(transferred, claim_source(f"{transferred.case}-control"), validation_score)
    return VerdictPart(
        f"In the same {episodes:,} episodes of stable the weights alone bring {estimate_text(gain, '+.1f')} points."
    )


@of_whole_run
def compute_in_episodes(row: Row) -> Figure:
    """Return the CPU time of both trainings of a run with a start, in episodes at the pace of the second training."""
    assert row.start is not None  # the results file is checked for it when it is read
    seconds_per_episode = row.training.cpu_seconds / len(row.returns)
    return len(row.returns) + row.start.training.cpu_seconds / seconds_per_episode


OPEN_QUESTIONS = (
    Claim(
        "planning",
        "Agents that plan score higher than those that weigh one step.",
        planning,
        1,
        "Written on 2026-11-28, when its runs were known.",
    ),
    Claim("intermediate", "256 hidden units are enough for 5,000 tokens.", intermediate, 2, REWRITTEN),
    Claim("rewards", "The dense reward is the one to train with.", rewards, 6, REWRITTEN),
    Claim("curriculum", "A curriculum brings more than a point of score.", curriculum, 1, REWRITTEN),
    Claim("masks", "Masks can be used in training and left out afterwards.", masks, 2, REWRITTEN),
    Claim(
        "weights",
        "Stable learns more when it starts from the weights of a run of fast.",
        weights_from_fast,
        2,
        REWRITTEN,
    ),
)
