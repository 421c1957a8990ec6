"""Decide from a deployment log which of two models is better."""

import math
from typing import NamedTuple

from scipy import stats

from agents.evaluation.deployment_log import DeploymentLog
from agents.evaluation.formats import interval_text
from agents.evaluation.statistics import CONFIDENCE, Interval, difference_interval

MIN_SPLIT_P_VALUE = 0.001  # below it, the requests were not split at the promised share
POWER = 0.8  # probability of a decision after the recommended number of further requests
QUANTILES = (0.5, 0.95)  # latency quantiles in the table


class ABVerdict(NamedTuple):
    """Statistics and verdict of a deployment log."""

    log: DeploymentLog
    split_p_value: float  # two-sided binomial test of the split of requests against the promised share
    difference: Interval | None  # mean return of B - A, Welch's 95 % interval; None if A or B has under 2 requests

    @property
    def more_requests(self) -> int | None:
        """Further requests that show the observed difference with power 80 %, if it is real; None if undefined."""
        a, b, share = self.log.a.returns, self.log.b.returns, self.log.share_b
        if self.difference is None or self.difference.estimate == 0 or not 0 < share < 1:
            return None
        quantiles = stats.norm.ppf((1 + CONFIDENCE) / 2) + stats.norm.ppf(POWER)
        variance = a.var(ddof=1) / (1 - share) + b.var(ddof=1) / share  # of the difference, times all requests
        required = variance * (quantiles / self.difference.estimate) ** 2
        return max(1, math.ceil(required - len(a) - len(b)))

    @property
    def sentence(self) -> str:
        """Verdict in one sentence."""
        a, b = len(self.log.a.returns), len(self.log.b.returns)
        if self.split_p_value < MIN_SPLIT_P_VALUE:
            return (
                f"no verdict: B answered {b:,} of {a + b:,} requests where {self.log.share_b:.1%} were promised "
                f"(p = {self.split_p_value:.1g}); find out which requests are missing before anything is compared"
            )
        if self.difference is None:
            return f"undecided: A answered {a:,} and B {b:,}; 2 of each are the least that can be compared"
        comparison = f"B - A is {interval_text(self.difference)} a request"
        if self.difference.low > 0:
            return f"B is better: {comparison}"
        if self.difference.high < 0:
            return f"A is better: {comparison}"
        if self.more_requests is None:
            return f"undecided: {comparison}; they earn the same so far, and no number of further requests can be named"
        return (
            f"undecided: {comparison}; if it is what it seems, about {_rounded(self.more_requests):,} more requests "
            "would decide, in four cases of five"
        )


def judge(log: DeploymentLog) -> ABVerdict:
    """Test the split of a log with an exact binomial test and compare returns with Welch's interval."""
    a, b = log.a.returns, log.b.returns
    split_p_value = float(stats.binomtest(len(b), len(a) + len(b), log.share_b).pvalue)
    return ABVerdict(log, split_p_value, difference_interval(b, a) if min(len(a), len(b)) > 1 else None)


def _rounded(count: int) -> int:
    """Round to two significant digits; the estimate is no more precise."""
    digits = 2 - len(str(count))
    return round(count, digits) if digits < 0 else count
