"""Lines of a log are whole, whoever writes it and whoever crashes."""

import asyncio
import fcntl
import json
import multiprocessing
import resource
import signal
from threading import Thread

import pytest

from agents.serving.decision_log import DecisionLog, append_lines


def test_decisions_of_a_moment_are_all_written(tmp_path, answers):
    log = DecisionLog(tmp_path / "log.jsonl")

    async def write():
        await asyncio.gather(*(log.append({"request": number}) for number in range(50)))
        await log.append({"request": 50})

    answers(write())
    assert [json.loads(line)["request"] for line in log.path.read_text().splitlines()] == list(range(51))


def test_what_a_crash_has_left_of_a_line_is_cut(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"request": "one"}\n{"request": "to')
    append_lines(path, b'{"request": "two"}\n')
    assert path.read_bytes() == b'{"request": "one"}\n{"request": "two"}\n'


def test_a_writer_waits_until_another_has_ended_its_line(tmp_path):
    path = tmp_path / "log.jsonl"
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(b"half a line, ")
        other.flush()
        writer = Thread(target=append_lines, args=(path, b"mine\n"))
        writer.start()
        writer.join(0.3)
        other.write(b"and the rest\n")
    writer.join()
    assert path.read_bytes() == b"half a line, and the rest\nmine\n"


def write_many(path, name):
    for number in range(200):
        append_lines(path, f"{name} {number}\n".encode() * 3)


def test_several_processes_share_a_log(tmp_path):
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("forkserver")
    writers = [context.Process(target=write_many, args=(path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = path.read_text().splitlines()
    assert len(lines) == 1200
    assert [line for line in lines if line[0] == "a"] == [f"a {number}" for number in range(200) for _ in range(3)]


def test_a_log_that_cannot_be_written_fails_every_decision(tmp_path, answers):
    log = DecisionLog(tmp_path / "none" / "log.jsonl")

    async def write():
        return await asyncio.gather(*(log.append({}) for _ in range(3)), return_exceptions=True)

    assert all(isinstance(error, FileNotFoundError) for error in answers(write()))


def test_half_a_line_on_a_full_disk_is_an_error_and_cut_by_the_next(tmp_path):
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("forkserver")
    writer = context.Process(target=write_on_a_full_disk, args=(path,))
    writer.start()
    writer.join()
    assert writer.exitcode == 0
    assert path.read_bytes() == b"line\nli"
    append_lines(path, b"next\n")
    assert path.read_bytes() == b"line\nnext\n"


def write_on_a_full_disk(path):
    """A file that may have seven bytes stands for a disk that takes no more."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (7, 7))
    append_lines(path, b"line\n")
    with pytest.raises(OSError, match="disk full"):
        append_lines(path, b"line\n")
