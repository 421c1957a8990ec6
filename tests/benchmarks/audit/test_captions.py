"""Captions of tables against the rows: seeds, revisions, versions, and runs that other tables show, too."""

import re

import pytest

from tests.benchmarks.audit.pages import block
from tests.benchmarks.audit.recomputed import Row, read

CAPTIONS = [("docs/results/benchmark.md", "caption", "fast-vs-stable")]
CAPTIONS += [("docs/results/benchmark.md", f"caption of {name}", name) for name in ("generalisation", "reach", "heads")]
CAPTIONS += [("docs/results/claims.md", f"runs of {name}", name) for name in ("claims", "fast-vs-stable", "heads")]
CASE = r"[\w.]+/[\w.-]*\w"
every_caption = pytest.mark.parametrize(("page", "name", "benchmark"), CAPTIONS)


def sentence(caption: str, start: str) -> str:
    """A part of a caption, from its first word on."""
    return re.search(rf"{start}: (.*?)\.(?: [A-Z]|\s*$)", caption, re.S)[1]


@every_caption
def test_seeds_are_counted(page, name, benchmark):
    listed = sentence(block(page, name), "Runs").split("; ")
    printed = {case: int(part.split()[0]) for part in listed for case in re.findall(CASE, part)}
    assert printed == {case: len(rows) for case, rows in read(benchmark).items()}


@every_caption
def test_revisions_are_those_of_the_runs(page, name, benchmark):
    printed: dict[str, set[tuple[str, int]]] = {}
    for part in sentence(block(page, name), "Revision").split("; "):
        revision, cases = re.fullmatch(r"(\w+) of [\d-]+(?: for (.*))?", part).groups()
        for case, few in re.findall(rf"({CASE})(?: \((\d+) of \d+ runs\))?", cases or " ".join(read(benchmark))):
            printed.setdefault(case, set()).add((revision, int(few or len(read(benchmark)[case]))))
    counted = {case: [row["revision"] for row in rows] for case, rows in read(benchmark).items()}
    assert printed == {case: {(key, all_.count(key)) for key in all_} for case, all_ in counted.items()}


@every_caption
def test_versions_are_those_of_the_runs(page, name, benchmark):
    printed = dict(part.split() for part in sentence(block(page, name), "Versions").split(", "))
    for rows in read(benchmark).values():
        for row in rows:
            python = ".".join(row["versions"]["python"].split(".")[:2])
            assert printed == row["versions"] | {"python": python}


def by_seed(benchmark: str, case: str) -> dict[int, Row]:
    return {row["seed"]: row for row in read(benchmark)[case]}


def relation(ours: dict[int, Row], others: dict[int, Row]) -> str:
    """How the runs of two cases are related, in the words of a caption."""
    seeds = ours.keys() & others.keys()
    start = f"{len(seeds)} seeds, "
    if all(ours[seed]["started"] == others[seed]["started"] for seed in seeds):
        return start + "the same runs"
    same = sum(ours[seed]["returns"] == others[seed]["returns"] for seed in seeds)
    return start + "trained twice with the same returns" + (f" in {same} of {len(seeds)}" if same < len(seeds) else "")


@pytest.mark.parametrize(("page", "name", "benchmark"), CAPTIONS[:4])
def test_runs_of_other_tables_are_related_as_told(page, name, benchmark):
    shared = re.findall(rf"({CASE}) as ({CASE}) of ([\w-]+) \((.*?)\)", block(page, name))
    assert len(shared) == block(page, name).count(" as fast/") + block(page, name).count(" as stable/")
    for case, other, elsewhere, words in shared:
        assert words == relation(by_seed(benchmark, case), by_seed(elsewhere, other)), (case, other, elsewhere)


@every_caption
def test_load_is_that_of_the_runs(page, name, benchmark):
    """The lowest and the highest load average at the start and the end of a training."""
    if "Load average: " not in block(page, name):
        pytest.skip(f"{page} gives no load average in its captions")
    trainings = [row["training"] for rows in read(benchmark).values() for row in rows]
    loads = [(each.get("load_at_start"), each.get("load_at_end")) for each in trainings]
    known = [load for pair in loads if None not in pair for load in pair]
    few = sum(None in pair for pair in loads)
    missing = f", not recorded in {few} runs" if few else ""
    assert sentence(block(page, name), "Load average") == f"{min(known):.1f} to {max(known):.1f}{missing}"
