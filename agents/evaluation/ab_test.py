"""Say which of two deployed models is better, by the log of what they answered."""

import math
from typing import NamedTuple

from scipy import stats

from agents.evaluation.deployment_log import Log
from agents.evaluation.statistics import CONFIDENCE, Interval, difference_interval, interval_text

MISMATCH = 0.001  # a split that is less likely than this by chance was not made as it was promised
POWER = 0.8  # how often as many requests as are named would show the difference
QUANTILES = (0.5, 0.95)  # of latencies


class ABVerdict(NamedTuple):
    """What a log says."""

    log: Log
    split: float  # how likely a split as far from the promised share is by chance, two-sided binomial test
    difference: Interval | None  # mean return of B - A, Welch's 95 % interval; None with fewer than 2 requests of one

    @property
    def more_requests(self) -> int | None:
        """How many would show the difference that is seen, if it is the true one, in 80 %; None: none can be named."""
        a, b, share = self.log.a.returns, self.log.b.returns, self.log.share_b
        if self.difference is None or self.difference.estimate == 0 or not 0 < share < 1:
            return None
        quantiles = stats.norm.ppf((1 + CONFIDENCE) / 2) + stats.norm.ppf(POWER)
        of_one = a.var(ddof=1) / (1 - share) + b.var(ddof=1) / share  # variance of the difference, times all requests
        needed = of_one * (quantiles / self.difference.estimate) ** 2
        return max(1, math.ceil(needed - len(a) - len(b)))

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        a, b = len(self.log.a.returns), len(self.log.b.returns)
        if self.split < MISMATCH:
            return (
                f"no verdict: B answered {b:,} of {a + b:,} requests where {self.log.share_b:.1%} were promised "
                f"(p = {self.split:.1g}); find out which requests are missing before anything is compared"
            )
        if self.difference is None:
            return f"undecided: A answered {a:,} and B {b:,}; 2 of each are the least that can be compared"
        told = f"B - A is {interval_text(self.difference)} a request"
        if self.difference.low > 0:
            return f"B is better: {told}"
        if self.difference.high < 0:
            return f"A is better: {told}"
        if self.more_requests is None:
            return f"undecided: {told}; they earn the same so far, and no number of further requests can be named"
        return (
            f"undecided: {told}; if it is what it seems, about {_rounded(self.more_requests):,} more requests "
            "would decide, in four cases of five"
        )


def judge(log: Log) -> ABVerdict:
    """The verdict on a log: the split by an exact binomial test, the returns by Welch's interval."""
    a, b = log.a.returns, log.b.returns
    split = float(stats.binomtest(len(b), len(a) + len(b), log.share_b).pvalue)
    return ABVerdict(log, split, difference_interval(b, a) if min(len(a), len(b)) > 1 else None)


def _rounded(count: int) -> int:
    """Two digits: no more is known of it."""
    digits = 2 - len(str(count))
    return round(count, digits) if digits < 0 else count
