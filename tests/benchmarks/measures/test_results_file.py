import json
import multiprocessing
import warnings

import pytest

import benchmarks
from benchmarks.measures.results_file import append, exclusive_writer, read_rows, read_rows_if_any, results_file
from tests.support.benchmarks.rows import make_row
from token_env import SettingError


@pytest.fixture
def folder(tmp_path):
    """Results of two runs."""
    for seed in (0, 1):
        assert append("tiny", tmp_path, make_row(seed=seed))
    return tmp_path


def lines(folder):
    return results_file("tiny", folder).read_text().splitlines(keepends=True)


def write(folder, *texts):
    results_file("tiny", folder).write_text("".join(texts))


def changed(line, **changes):
    return json.dumps(json.loads(line) | changes) + "\n"


def test_a_row_comes_back_as_it_was_written(folder):
    rows = read_rows("tiny", folder)
    assert rows.accepted == [make_row(seed=0), make_row(seed=1)]
    assert not rows.warning


def test_a_run_is_kept_once(folder):
    assert not append("tiny", folder, make_row(seed=1))
    assert len(lines(folder)) == 2


def test_a_file_cut_at_any_byte_of_its_last_row_keeps_the_others_and_takes_the_row_again(folder):
    whole = results_file("tiny", folder).read_bytes()
    start = whole.index(b"\n") + 1
    for cut in [*range(start, len(whole), 997), len(whole) - 1]:
        results_file("tiny", folder).write_bytes(whole[:cut])
        rows = read_rows("tiny", folder)
        assert [row.seed for row in rows.accepted] == [0]
        assert not rows.warning
        assert append("tiny", folder, make_row(seed=1))
        assert results_file("tiny", folder).read_bytes() == whole


def test_rows_appended_by_many_processes_at_once_are_all_whole(tmp_path):
    context = multiprocessing.get_context("forkserver")
    writers = [context.Process(target=append, args=("tiny", tmp_path, make_row(seed=seed))) for seed in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    rows = read_rows("tiny", tmp_path)
    assert sorted(row.seed for row in rows.accepted) == [0, 1, 2]
    assert not rows.warning


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda line: line[:50] + "\n", "it is damaged"),
        (lambda line: "\n", "it is damaged"),
        (lambda line: "[]\n", "it is not a row of format 1"),
        (lambda line: changed(line, format=2), "it is not a row of format 1 (format"),
        (lambda line: changed(line, returns=[float("nan")]), "it is not a row of format 1 (returns.0"),
        (lambda line: changed(line, surprise=1), "it is not a row of format 1 (surprise"),
        (lambda line: changed(line, case="tiny/dqn"), "no case 'tiny/dqn'; known: tiny/ppo, tiny/a2c"),
        (lambda line: changed(line, language="0" * 64), "runs of different languages cannot be compared"),
        (lambda line: line.replace('"noise":0.3', '"noise":0.5'), "tiny/ppo has env.noise=0.3 today, this run had 0.5"),
        (lambda line: line.replace('"algorithm":"ppo"', '"algorithm":"x"'), "unknown algorithm 'x'"),
        (
            lambda line: line.replace('"algorithm":"ppo"', '"algorithm":"a2c"'),
            "has algorithm='ppo' today, this run had 'a2c'",
        ),
        (lambda line: line.replace('"numpy":"', '"numpy":"0.'), "it was made with numpy 0."),
        (lambda line: changed(line, seed=1), "(its seed is 1, that of its settings 0)"),
        (lambda line: changed(line, seed=-1), "(its seed is -1, that of its settings 0)"),
        (lambda line: changed(line, returns=[1.0]), "(it has the returns of 1 of 400 episodes)"),
        (lambda line: changed(line, held_out={}), "(held_out lacks agent (greedy), agent (sampled), fluent"),
        (lambda line: line.replace('"seconds":60.0', '"seconds":0'), "(training.seconds: Input should be greater"),
        (lambda line: line.replace("[0.8,", "["), "adequacy_by_rarity.3: Field required"),
        (lambda line: 100_000 * "[" + "\n", "it is damaged"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_named_and_left_out(folder, spoil, reason):
    first, second = lines(folder)
    write(folder, first, spoil(first), second)
    rows = read_rows("tiny", folder)
    assert [row.seed for row in rows.accepted] == [0, 1]
    assert list(rows.refused) == [2]
    assert reason in rows.refused[2]
    assert f"{results_file('tiny', folder)}, line 2, is left out: " in rows.warning
    assert lines(folder)[0] == first  # nothing was lost


def test_of_two_rows_of_one_run_the_second_is_left_out(folder):
    write(folder, *lines(folder), lines(folder)[0])
    assert read_rows("tiny", folder).refused == {3: "it repeats line 1 (tiny/ppo, seed 0)."}


def test_what_another_algorithm_is_set_to_does_not_matter(folder):
    first, second = lines(folder)
    write(folder, first, second.replace('"cg_damping":0.1', '"cg_damping":0.2'))
    assert lines(folder)[1] != second
    assert len(read_rows("tiny", folder).accepted) == 2


def test_another_patch_of_python_is_no_other_version(folder):
    first, second = lines(folder)
    old = json.loads(first)["versions"]
    write(folder, first, changed(second, versions=old | {"python": old["python"].rpartition(".")[0] + ".99"}))
    assert len(read_rows("tiny", folder).accepted) == 2


def test_no_results_say_what_to_type(tmp_path):
    assert read_rows_if_any("tiny", tmp_path).accepted == []
    with pytest.raises(SettingError, match=r"there are no results of 'tiny' .*python -m benchmarks run tiny --results"):
        read_rows("tiny", tmp_path)
    with pytest.raises(SettingError, match="Did you mean 'tiny'"):
        read_rows("tinny", tmp_path)
    results_file("tiny", tmp_path).mkdir()
    with pytest.raises(SettingError, match="cannot read"):
        read_rows("tiny", tmp_path)


def test_only_untrustworthy_results_are_an_error(folder):
    write(folder, "nonsense\n")
    with pytest.raises(SettingError, match="line 1, is left out: it is damaged"):
        read_rows("tiny", folder)


def test_two_harnesses_cannot_write_the_same_results(tmp_path):
    second = exclusive_writer("tiny", tmp_path)
    with exclusive_writer("tiny", tmp_path), pytest.raises(SettingError, match="another command runs 'tiny'"), second:
        pass
    with exclusive_writer("tiny", tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="cannot write into"), exclusive_writer("tiny", tmp_path / "file"):
        pass


def test_results_are_a_frame_with_a_row_a_run_and_a_warning_for_what_is_left_out(folder):
    append("tiny", folder, make_row(case="tiny/a2c"))
    runs = benchmarks.results("tiny", folder)
    assert runs["case"].tolist() == ["tiny/ppo", "tiny/ppo", "tiny/a2c"]
    assert runs.groupby("case")["test_return"].mean().to_dict() == pytest.approx({"tiny/ppo": 1.205, "tiny/a2c": 1.2})
    with results_file("tiny", folder).open("a") as file:
        file.write("nonsense\n")
    with pytest.warns(UserWarning, match="line 4, is left out"):
        assert len(benchmarks.results("tiny", folder)) == 3


def test_the_committed_results_are_whole_and_as_many_as_promised():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = benchmarks.results()
    seeds = runs.groupby("case")["seed"].apply(list)
    for case in ("fast/preset", "fast/as-reported", "intermediate/as-reported"):
        assert seeds[case] == list(range(10))
    assert len(seeds["intermediate/preset"]) >= 8  # two more were made with changed code, and left out
    assert len(seeds["stable/preset"]) >= 5
