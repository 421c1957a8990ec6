"""Build the tables of the page on learning: heads, ablations, and what the planning head learned beside the task."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from agents.evaluation.formats import NO_VALUE, number_text, plus_minus_text
from agents.evaluation.statistics import difference_interval, mean_interval
from benchmarks.measures.figures import Figure, test_tokens
from benchmarks.measures.row import Row
from benchmarks.measures.series import by_case, validation_scores
from benchmarks.measures.shares import score, score_sampled, share_of_optimum
from benchmarks.pages.table import caption
from benchmarks.suite.cases import LEARNING, find_benchmark
from benchmarks.suite.learning_cases import ABLATIONS, HEADS, PLANNING
from token_env.languages.find import find_language

EARLY = (400, 800)  # numbers of episodes after which scores are shown, besides those at the end
GOALS = (80, 94)  # scores in per cent whose time is shown: a little less than `greedy` and `lookahead` reach
RARITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of the words of fast, whose rarest has 0.56
SURPRISALS = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0)  # nats
PICTURE = "![Score against episodes for every head, beside the reference policies](../images/learning.svg)"

Runs = Mapping[str, list[Row]]  # rows of each variant, in the order of the cases


def learning_blocks(rows: Iterable[Row]) -> dict[str, str]:
    """Build the generated text of the page on learning by mark, from the cases that have been run.

    Args:
        rows: Results of the benchmark `learning`.
    """
    runs = runs_by_variant(rows)
    if not runs:
        missing = f"Not measured yet: `python -m benchmarks run {LEARNING}` makes the runs."
        return {"picture": "", "heads": missing, "ablations": missing, "numbers": missing, "runs": ""}
    return {
        "picture": PICTURE,
        "heads": heads_table(runs),
        "ablations": ablations_table(runs),
        "numbers": numbers_table(runs),
        "runs": _runs_text([row for of_variant in runs.values() for row in of_variant]),
    }


def _runs_text(rows: list[Row]) -> str:
    hours = sum(row.training.cpu_seconds for row in rows) / 3600
    return f"{caption(rows)} All trainings took {hours:.1f} hours of processor time."


def learning_text(rows: Iterable[Row]) -> str:
    """Return the tables one after another."""
    return "\n\n".join(text for mark, text in learning_blocks(rows).items() if mark != "picture")


def runs_by_variant(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Group the rows of the benchmark by variant."""
    return {case.variant: of_case for case, of_case in by_case(find_benchmark(LEARNING), rows)}


def reference_levels(runs: Runs) -> dict[str, float]:
    """Return the scores of the reference policies in per cent, by label; `lookahead` for each k that was observed."""
    levels = {}
    for rows in (runs[variant] for variant in HEADS if variant in runs):
        held_out = rows[0].held_out
        names = {"greedy": "greedy", f"lookahead, k = {rows[0].settings.env.lookahead}": "lookahead"}
        for label, name in names.items():
            value = share_of_optimum(held_out[name].mean_return, rows[0]) if name in held_out else None
            if isinstance(value, float):
                levels[label] = value
    return levels


def heads_table(runs: Runs) -> str:
    """Format the score of every head during and after the training, and of the reference policies, as Markdown."""
    episodes = find_benchmark(LEARNING).cases[0].settings(0).episodes
    columns = [f"after {count:,}" for count in (*EARLY, episodes)]
    goals = [f"CPU s to {goal}" for goal in GOALS]
    heading = ["score, %", f"{columns[0]} episodes", *columns[1:], "sampled", "tokens used", *goals, "seeds"]
    rows = []
    for variant, change in HEADS.items():
        of_head = runs.get(variant, [])
        if of_head:
            early = [_early(of_head, count) for count in EARLY]
            final = [_cell(of_head, metric, form) for metric, form in FINAL]
            seconds = [_seconds_to(goal, of_head) for goal in GOALS]
            rows.append([f"`{change.label}`", *early, *final, *seconds, str(len(of_head))])
        if any(row.planned for row in of_head):
            planned = _cell(of_head, _planned_score, ".1f")
            rows.append(_final_row(f"`{change.label}`, with a plan at evaluation only", planned, len(of_head)))
    rows += [
        _final_row(f"reference `{label}`", number_text(level, ".1f")) for label, level in reference_levels(runs).items()
    ]
    return _markdown(heading, rows)


def _final_row(label: str, cell: str, seeds: int | str = "") -> list[str]:
    """Build a row of the table of heads with a score at the end alone."""
    return [label, *[NO_VALUE] * len(EARLY), cell, *[NO_VALUE] * (len(FINAL) - 1 + len(GOALS)), str(seeds)]


def ablations_table(runs: Runs) -> str:
    """Format the score of every ablation, and its difference from the planning head, as Markdown."""
    planning = runs.get(PLANNING, [])
    heading = ["one change", f"after {EARLY[-1]} episodes", "score, %", "difference", "sampled", "seeds"]
    rows = []
    for variant, change in {PLANNING: HEADS[PLANNING]._replace(label="none"), **ABLATIONS}.items():
        if of_variant := runs.get(variant):
            difference = NO_VALUE if variant == PLANNING else _difference(of_variant, planning)
            scores = [_cell(of_variant, metric, ".1f") for metric in (score, score_sampled)]
            early = _early(of_variant, EARLY[-1])
            rows.append([change.label, early, scores[0], difference, scores[1], str(len(of_variant))])
    return _markdown(heading, rows)


def numbers_table(runs: Runs) -> str:
    """Format what the planning head learned, in units of the task, beside the task's own numbers, as Markdown."""
    rows_of_head = [row for row in runs.get(PLANNING, []) if row.head]
    if not rows_of_head:
        return f"Not measured yet: `python -m benchmarks run {LEARNING} --case fast/{PLANNING}` makes the runs."
    env, heads = rows_of_head[0].settings.env, [row.head for row in rows_of_head if row.head]
    language = find_language(env.language, env.vocab_size, env.language_seed)
    payments = language.payment[0] * np.exp(5 * np.array(RARITIES))  # u^(-1/2), and rarity is log(u_0 / u) / 10
    beyond = np.maximum(0.0, np.array(SURPRISALS) - env.surprisal_budget)
    penalties = env.fluency_scale / env.adequacy_scale * beyond
    size = float(np.sqrt(language.output.shape[1]))  # Frobenius norm of the identity
    rest = [100 * head.matrix_rest / (abs(head.map) * size) for head in heads]
    bends = heads[0].constants.bends
    rows = [
        *_compared(
            [f"payment of a word of rarity {rarity:g}" for rarity in RARITIES],
            [head.payment(RARITIES, language) for head in heads],
            [number_text(payment, ".2f") for payment in payments],
        ),
        *_compared(
            [f"penalty of a surprisal of {surprisal:g} nats" for surprisal in SURPRISALS],
            [head.penalty(SURPRISALS, language) for head in heads],
            [number_text(penalty, ".2f") for penalty in penalties],
        ),
        *_compared(
            [f"place of the bend that starts at {place:g} nats" for place in bends],
            [head.places for head in heads],
            [f"τ = {env.surprisal_budget:g}"] * len(bends),
        ),
        ["rest of W, % of the map", _mean(rest, ".1f"), "0.0"],
    ]
    return _markdown(["", "learned", "task"], rows)


def _compared(labels: list[str], learned: list[ArrayLike], task: list[str]) -> list[list[str]]:
    """Build table rows of what the heads learned, [seeds, rows], and the task's numbers."""
    columns = np.array(learned, dtype=np.float64).T
    return [[label, _mean(values, ".2f"), own] for label, values, own in zip(labels, columns, task, strict=True)]


FINAL = ((score, ".1f"), (score_sampled, ".1f"), (test_tokens, ".0f"))


def _planned_score(row: Row) -> Figure:
    return share_of_optimum(row.planned.mean_return, row) if row.planned else None


def _early(rows: list[Row], episodes: int) -> str:
    """Format the score of the validation after this many episodes; a dash if there was none."""
    scores = validation_scores(rows)
    places = np.flatnonzero(scores.episodes == episodes)
    return _mean(scores.values[:, places[0]], ".1f") if len(places) else NO_VALUE


def _seconds_to(goal: float, rows: list[Row]) -> str:
    """Format the processor seconds until the first validation with this score in per cent; a dash without one."""
    scores, seconds = validation_scores(rows), []
    for row, values in zip(rows, scores.values, strict=True):
        reached = np.flatnonzero(values >= goal)
        if len(reached):
            seconds.append(row.training.cpu_seconds * scores.episodes[reached[0]] / len(row.returns))
    share = f" ({len(seconds)} of {len(rows)})" if 0 < len(seconds) < len(rows) else ""
    return f"{_mean(seconds, '.0f')}{share}"


def _cell(rows: list[Row], metric: Callable[[Row], Figure], form: str) -> str:
    return _mean([float(value) for row in rows if (value := metric(row)) is not None], form)


def _mean(values: ArrayLike, form: str) -> str:
    if not np.size(values):
        return NO_VALUE
    interval = mean_interval(values)
    return plus_minus_text(interval.estimate, interval.half_width, form)


def _difference(rows: list[Row], others: list[Row]) -> str:
    """Format the difference of mean scores, in points, with half of its 95 % interval."""
    first, second = ([value for row in of if isinstance(value := score(row), float)] for of in (rows, others))
    if min(len(first), len(second)) < 2:
        return NO_VALUE
    interval = difference_interval(first, second)
    return plus_minus_text(interval.estimate, interval.half_width, "+.1f")


def _markdown(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
