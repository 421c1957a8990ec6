"""The verdict on the log of two deployed models: of whole lines alone, right both ways, and none without grounds."""

import json
import sys

import numpy as np
import pytest
from scipy import stats

from agents.cli.console import run_command
from agents.evaluate import evaluate
from agents.evaluation.ab_verdict import POWER, ABVerdict, judge
from agents.evaluation.deployment_log import DeploymentLog, VariantLog, read_log
from token_env import SettingError


def line(request="r", variant="A", earned=2.0, **other):
    row = {"request": request, "variant": variant, "share_b": 0.5, "model": f"sum-{variant}", "return": earned}
    return json.dumps(row | {"latency_ms": 1.0} | other).encode() + b"\n"


def lines(returns_a, returns_b, **other):
    return [
        line(f"{variant}{number}", variant, earned, **other)
        for variant, returns in (("A", returns_a), ("B", returns_b))
        for number, earned in enumerate(returns)
    ]


@pytest.fixture
def log(tmp_path):
    def log(*content):
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"".join(content))
        return path

    return log


def made_up(returns_a, returns_b, share_b=0.5):
    a, b = (VariantLog("sum", np.asarray(returns), np.ones(len(returns))) for returns in (returns_a, returns_b))
    return DeploymentLog(share_b, a, b, False, 0, 0)


def draws(generator, count, mean=2.4):
    """Returns as they are: the standard deviation is that of the sizes fast and stable."""
    return generator.normal(mean, 0.33, count)


@pytest.mark.parametrize(("better", "words"), [("B", "B is better: B - A is +0."), ("A", "A is better: B - A is −0.")])
def test_a_planted_difference_is_found(log, better, words):
    generator = np.random.default_rng(0)
    worse, more = draws(generator, 500).tolist(), draws(generator, 500, 2.55).tolist()
    verdict = judge(read_log(log(*(lines(worse, more) if better == "B" else lines(more, worse)))))
    assert verdict.sentence.startswith(words)


def test_where_both_are_alike_a_winner_is_named_in_one_log_of_twenty():
    generator = np.random.default_rng(0)
    sentences = [judge(made_up(draws(generator, 60), draws(generator, 70))).sentence for _ in range(300)]
    named = np.mean([not sentence.startswith("undecided") for sentence in sentences])
    assert 0.02 < named < 0.09
    assert all("more requests would decide" in sentence for sentence in sentences if sentence.startswith("undecided"))


@pytest.mark.parametrize("share_b", [0.5, 0.1])
def test_as_many_requests_as_are_named_would_decide_in_four_cases_of_five(share_b):
    generator = np.random.default_rng(0)
    few = np.array([-1.0, 1.0]) * 0.33
    verdict = judge(made_up(2.4 + np.tile(few, 90), 2.45 + np.tile(few, 10), share_b))
    total = 200 + verdict.more_requests
    of_b = round(total * share_b)
    found = [
        judge(made_up(draws(generator, total - of_b), draws(generator, of_b, 2.45), share_b)).difference.low > 0
        for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(POWER, abs=0.08)


def test_the_difference_is_welchs_interval():
    a, b = [1.0, 2.0, 3.0], [5.0, 7.0]
    found = judge(made_up(a, b)).difference
    expected = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert found == pytest.approx((4.0, expected.low, expected.high))


def test_a_split_that_was_not_made_as_promised_gives_no_verdict():
    generator = np.random.default_rng(0)
    verdict = judge(made_up(draws(generator, 688), draws(generator, 312, 5.0)))
    assert verdict.sentence.startswith("no verdict: B answered 312 of 1,000 requests where 50.0% were promised (p = ")
    assert judge(made_up(draws(generator, 688), draws(generator, 312, 5.0), 0.3)).sentence.startswith("B is better")


@pytest.mark.parametrize(
    ("returns", "words"),
    [
        (([1.0], [2.0, 3.0]), "undecided: A answered 1 and B 2; 2 of each are the least"),
        (([1.0, 2.0, 3.0], []), "undecided: A answered 3 and B 0; 2 of each are the least"),
        (([1.0, 3.0], [1.0, 3.0]), "undecided: B - A is +0.000"),
    ],
)
def test_too_little_is_undecided(returns, words):
    verdict = judge(made_up(*returns))
    assert verdict.sentence.startswith(words)
    assert verdict.more_requests is None


def test_named_numbers_have_two_digits():
    class Made(ABVerdict):
        more_requests = 12_345

    difference = judge(made_up([1.0, 3.0], [1.0, 3.1])).difference
    assert "about 12,000 more requests" in Made(made_up([1.0], [1.0]), 1.0, difference).sentence


def test_a_log_that_is_cut_anywhere_gives_its_whole_lines(log):
    written = lines([1.0, 2.0], [3.0])
    whole = b"".join(written)
    ends = {place + after for place in range(len(whole)) if whole[place] == ord(b"\n") for after in (0, 1)}
    for cut in sorted({*range(0, len(whole), 17), *ends}):
        path = log(whole[:cut])
        ended = whole[:cut].count(b"\n")
        if not ended:
            with pytest.raises(SettingError, match=r"gives no verdict: (it is empty|none of its 0 whole lines)"):
                read_log(path)
            continue
        found = read_log(path)
        assert len(found.a.returns) + len(found.b.returns) == ended
        assert found.truncated == (not whole[:cut].endswith(b"\n")) == (found.skipped_lines != "")


FOREIGN = {
    "no JSON": b"nonsense\n",
    "torn, with another behind": line()[:40] + line(),
    "no text": b"\xff\xfe\n",
    "nothing": b"\n",
    "deep": b"[" * 100_000 + b"\n",
    "no object": b"3\n",
    "nothing of it": b"{}\n",
    "another variant": line(variant="C"),
    "no number": line(earned=float("nan")),
    "no end": line(earned=float("inf")),
    "words": line(earned="2.0"),
    "before it began": line(latency_ms=-1.0),
    "no share": line(share_b=1.5),
    "no request": line(request=None),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_lines_are_left_out_and_counted(log, kind):
    first, *rest = lines([1.0, 2.0], [3.0, 4.0])
    found = read_log(log(first, FOREIGN[kind], *rest))
    assert (found.invalid, found.skipped_lines) == (1, "left out: 1 line that is no decision")
    np.testing.assert_array_equal(found.a.returns, [1.0, 2.0])
    with pytest.raises(SettingError, match=r"gives no verdict: none of its 1 whole lines is a decision"):
        read_log(log(FOREIGN[kind]))


def test_a_request_counts_once(log):
    found = read_log(log(*lines([1.0, 2.0], [3.0]), line("A0", earned=9.0), line("A1", earned=9.0), b"torn"))
    np.testing.assert_array_equal(found.a.returns, [1.0, 2.0])
    assert found.skipped_lines == (
        "left out: the last line, which has no end; 2 lines about a request that was answered before"
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"share_b": 0.1}, r"decisions with 0\.1 and with 0\.5 promised to B"),
        ({"model": "another"}, r"holds 2 models as B \(another, sum-B\)"),
    ],
)
def test_a_mixture_is_refused(log, more, message):
    with pytest.raises(SettingError, match=message):
        read_log(log(*lines([1.0], [2.0]), line("new", "B", **more)))


def test_the_command_tells_shares_returns_latencies_and_the_verdict(log, monkeypatch, capsys):
    path = log(
        *(line(f"a{number}", "A", 2 + number % 2, latency_ms=number) for number in range(101)),
        *(line(f"b{number}", "B", 1 + number % 2, latency_ms=10.0) for number in range(99)),
        b"nonsense\n",
    )
    monkeypatch.setattr(sys, "argv", ["evaluate", "--log", str(path)])
    with pytest.raises(SystemExit) as end:
        run_command(evaluate)
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert ": 200 requests" in " ".join(out.split())  # a long path breaks the line
    rows = {row.split()[1]: row.split() for row in out.splitlines() if row.startswith("│")}
    assert [rows["A"][place] for place in (3, 5, 7, 9)] == ["sum-A", "101", "50.5%", "50.0%"]
    assert rows["A"][-4:-1:2] == ["50.00", "95.00"]
    assert rows["B"][-4:-1:2] == ["10.00", "10.00"]
    *_, left_out, sentence = out.splitlines()
    assert left_out == "left out: 1 line that is no decision"
    assert sentence.startswith("A is better: B - A is −1.00")
