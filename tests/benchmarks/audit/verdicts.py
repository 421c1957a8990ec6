"""Rules of the pages, a second time: the numbers of each finding, and the verdict by the rule in words.

A claim is judged by quantities, each with an interval over runs. A finding is a sentence with {i} for an interval, {n}
for a number.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from tests.benchmarks.audit import recomputed
from tests.benchmarks.audit.pages import block, flat
from tests.benchmarks.audit.recomputed import MEASURES, Interval, Row, mean_interval, measured, optimum, read, welch

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "not decidable here"
SETTINGS = {"our preset": "preset", "the report's settings": "as-reported"}
Finding = tuple[str, list[float]]  # a sentence with places for numbers, and the numbers in it


class Claim(NamedTuple):
    """A claim as a page tells it."""

    key: str
    verdict: str
    statement: str
    findings: list[str]
    level: float


class Judgement(NamedTuple):
    """A claim judged a second time: its verdict, what its findings may be, and the level of its intervals."""

    verdict: str
    findings: list[Finding]
    level: float


def claims_of(page: str) -> Iterator[Claim]:
    """Every claim of a page's details."""
    for part in re.split(r"^### ", block(page, "details"), flags=re.M)[1:]:
        head, statement, *_ = part.split("\n\n")
        key, verdict = head.split(": ")
        level = re.search(r"^Intervals at ([\d.]+) %\.", part, re.M)
        assert level, f"{key} names no level"
        yield Claim(key, verdict, statement, re.findall(r"^- (.*)$", part, re.M), float(level[1]) / 100)


def of(case: str, measure: Callable[[Row], float | None], benchmark: str = "fast-vs-stable") -> list[float | None]:
    return measured(read(benchmark)[case], measure)


def complete(values: Sequence[float | None]) -> list[float] | None:
    """The values, or None where a run has none."""
    return None if None in values else [value for value in values if value is not None]


def position(interval: Interval, low: float, high: float) -> str:
    """Supported inside a range, contradicted wholly outside."""
    if low < interval.low and interval.high < high:
        return SUPPORTED
    return CONTRADICTED if interval.high < low or interval.low > high else UNDECIDED


def combined(parts: Iterable[str]) -> str:
    """Verdict on a claim by those on its parts."""
    parts = list(parts)
    if CONTRADICTED in parts:
        return CONTRADICTED
    return SUPPORTED if set(parts) == {SUPPORTED} else UNDECIDED


above, below = partial(position, low=0.0, high=np.inf), partial(position, low=-np.inf, high=0.0)


# Settings a claim is judged with


def learned(level: float) -> tuple[bool, Finding]:
    """Whether the last 100 episodes of both sizes earn more than zero with the report's settings."""
    ends = [mean_interval(of(f"{size}/as-reported", MEASURES["Mean of the last 100"]), level) for size in SIZES]
    sentence = "With the report's settings nothing is learned to judge by; last 100 episodes: fast {i}, stable {i}."
    return all(end.low > 0 for end in ends), (sentence, flat(*ends))


SIZES = ("fast", "stable")


def with_settings(parts: int, judge: Callable[[str, str, float], tuple[list[str], list[Finding]]]) -> Judgement:
    """Judge with our presets and, where something is learned with them, with the report's settings."""
    level = 1 - 0.05 / parts
    both, nothing = learned(level)
    level = 1 - 0.025 / parts if both else level
    results = [judge(words, name, level) for words, name in list(SETTINGS.items())[: 1 + both]]
    findings = [finding for _, findings in results for finding in findings]
    verdict = combined(part for verdicts, _ in results for part in verdicts)
    return Judgement(verdict, findings + ([] if both else [nothing]), level)


# Claims


def convergence() -> Judgement:
    ranges = {"fast": (-np.inf, 960.0), "stable": (2400.0, 3600.0)}

    def judge(words: str, name: str, level: float) -> tuple[list[str], list[Finding]]:
        verdicts, findings = [], []
        for size in SIZES:
            for share in (2, 5, 10):
                found = of(f"{size}/{name}", partial(recomputed.convergence, share=share / 100))
                start, values = f"{size.capitalize()} with {words}, within {share} %: ", complete(found)
                interval = values and mean_interval(values, level)
                if share == 5:
                    verdicts.append(position(interval, *ranges[size]) if interval else UNDECIDED)
                if interval:
                    findings.append((start + "converges by episode {i}.", flat(interval)))
                else:
                    findings.append((start + "{n} of {n} runs show no convergence.", [found.count(None), len(found)]))
        return verdicts, findings

    return with_settings(2, judge)


def consistency() -> Judgement:
    def judge(words: str, name: str, level: float) -> tuple[list[str], list[Finding]]:
        def difference(label: str, share: bool = True) -> Interval:
            measure = MEASURES[label]
            sides = [
                of(f"{size}/{name}", lambda row: measure(row) * (100 / optimum(row) if share else 1)) for size in SIZES
            ]
            return welch(*sides, level)

        last, drop = difference("Mean of the last 20"), difference("Drawdown")
        spread = difference("Spread of the last 100")
        lowest = mean_interval(of(f"fast/{name}", MEASURES["Lowest of the last 20"]), level)
        returns = difference("Mean of the last 20", share=False)
        start = f"With {words} the mean of fast's last 20 episodes less that of stable's is "
        deviation = "The standard deviation of its last 100 less that of stable's is {i} points of the optimum."
        message = "a message of stable has 50 words to earn by, one of fast 30."
        return [above(lowest), above(last), below(spread), below(drop)], [
            (start + "{i} points of the optimum.", flat(last)),
            (deviation, flat(spread)),
            ("Its drawdown less that of stable's is {i} points of the optimum.", flat(drop)),
            ("The lowest of fast's last 20 is {i}.", flat(lowest)),
            (f"In returns the means of the last 20 differ by {{i}}; {message}", flat(returns)),
        ]

    return with_settings(4, judge)


def peak() -> Judgement:
    def judge(words: str, name: str, level: float) -> tuple[list[str], list[Finding]]:
        def lead(measure: Callable[[Row], float]) -> Interval:
            return welch(of(f"stable/{name}", measure), of(f"fast/{name}", measure), level)

        episodes = min(len(row["returns"]) for row in read("fast-vs-stable")[f"fast/{name}"])
        best = lead(lambda row: max(row["returns"]))
        share = lead(lambda row: 100 * max(row["returns"]) / optimum(row))
        short = lead(lambda row: max(row["returns"][:episodes]))
        return [above(best)], [
            (f"With {words} the best episode of stable less that of fast is {{i}}.", flat(best)),
            ("In per cent of each size's mean optimum it is {i} points.", flat(share)),
            ("With only as many episodes of stable as fast has it is {i}.", flat(short)),
        ]

    return with_settings(1, judge)


def long_tail() -> Judgement:
    def judge(words: str, name: str, level: float) -> tuple[list[str], list[Finding]]:
        fast, stable = (complete(of(f"{size}/{name}", recomputed.rarest_on_fast_messages)) for size in SIZES)
        lead = welch(stable, fast, level)
        sentence = f"With {words} stable's share of the rarest quarter less fast's is {{i}} points."
        return [above(lead)], [(sentence, flat(lead)), *quarters(name)]

    return with_settings(1, judge)


def quarters(name: str) -> Iterator[Finding]:
    for size in ("fast", "intermediate", "stable"):
        means = [float(np.mean(of(f"{size}/{name}", partial(recomputed.adequacy, quarter=n)))) for n in range(4)]
        start = f"{size.capitalize()}, on its own messages, commonest quarter to rarest: "
        yield start + "{n}, {n}, {n}, {n} %.", means


def planning() -> Judgement:
    """Held-out problems of the benchmark `learning` are validation problems."""

    def score(row: Row) -> float:
        assert row["settings"]["evaluation"] == {"split": "validation", "problems": 200}
        return 100 * recomputed.greedy_return(row) / recomputed.solved_optimum(recomputed.task_of(row))

    sides = [
        {row["seed"]: score(row) for row in read("learning")[f"fast/{head}"] if row.get("diverged") is None}
        for head in ("planning", "tied")
    ]
    seeds = sorted(set(sides[0]) & set(sides[1]))
    gain = mean_interval([sides[0][seed] - sides[1][seed] for seed in seeds])
    return Judgement(above(gain), [("Planning changes the score by {i} points.", flat(gain))], 0.95)


JUDGES: dict[str, Callable[[], Judgement]] = {
    "convergence": convergence,
    "consistency": consistency,
    "peak": peak,
    "long_tail": long_tail,
    "planning": planning,
}
