"""Episodes as a person watches them: in a picture, in an animated one, in a terminal."""

import errno
import io
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from agents.cli.console import INTERRUPTED, WRONG_INPUT, run_command
from agents.evaluation.episodes import gif_bytes, play_episode, show_live
from agents.watch import watch
from token_env import REFERENCES, Task
from token_env.env import TokenEnv

TINY = Task(vocab_size=64, max_steps=8, split="test")


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Watch in an empty directory: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def command(words):
        monkeypatch.setattr(sys, "argv", ["watch", *words.split()])
        with pytest.raises(SystemExit) as end:
            run_command(watch)
        return end.value.code, *capsys.readouterr()

    return command


def test_a_gif_has_a_frame_before_the_first_step_and_one_after_each_and_the_last_stays(command, tmp_path):
    assert command("greedy --size tiny --fps 10 --out x.GIF")[0] == 0
    with Image.open(tmp_path / "x.GIF") as gif:
        assert gif.n_frames == 9
        frames, durations = [], []
        for frame in range(9):
            gif.seek(frame)
            frames.append(np.array(gif.convert("RGB")))
            durations.append(gif.info["duration"])
    assert durations == [100] * 8 + [4000]
    assert len({frame.tobytes() for frame in frames}) == 9


def test_colours_of_a_gif_are_nearly_those_of_the_picture(command, tmp_path):
    for ending in ("gif", "png"):
        command(f"verbatim --size tiny --out x.{ending}")
    with Image.open(tmp_path / "x.gif") as gif, Image.open(tmp_path / "x.png") as png:
        gif.seek(8)
        difference = np.abs(np.array(gif.convert("RGB"), dtype=int) - np.array(png))
    assert difference.mean() < 3
    assert difference.max() < 32


def test_a_png_is_the_end_of_the_episode_as_the_environment_draws_it(command, tmp_path):
    (tmp_path / "x.PNG").write_text("an older file")
    code, out, _ = command("greedy --size tiny --problem 7 --split validation --out x.PNG")
    assert (code, out) == (0, "greedy on validation problem 7: x.PNG\n")
    env = TokenEnv(render_mode="rgb_array", vocab_size=64, max_steps=8, split="validation")
    env.reset(options={"problem_id": 7})
    for _ in range(8):
        env.step(int(REFERENCES["greedy"].act(env._batch.dynamics, env._batch.problems, env._batch.state, None)[0]))
    with Image.open(tmp_path / "x.PNG") as png:
        np.testing.assert_array_equal(np.array(png), env.render())


def test_a_full_disk_gives_one_message_and_leaves_no_file(command, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("token_env.files.os.fsync", full)
    code, _, error = command("greedy --size tiny --out x.png")
    assert code == WRONG_INPUT
    assert error == "error: cannot write 'x.png': No space left on device; type --out with another file.\n"
    assert list(tmp_path.iterdir()) == []


def test_off_a_terminal_the_end_is_printed_once_without_colours(command):
    code, out, error = command("greedy --size tiny")
    assert (code, error) == (0, "")
    assert out.startswith("greedy\ntest problem 0   step 8 of 8\nmessage ")
    assert out.count("step") == 1
    assert "\x1b" not in out


def test_in_a_terminal_every_step_is_shown_in_the_place_of_the_one_before(monkeypatch):
    waits = []
    monkeypatch.setattr("agents.evaluation.episodes.time.sleep", waits.append)
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system="256", _environ={})
    show_live(console, play_episode(REFERENCES["greedy"], TINY, 0), fps=5)
    shown = console.file.getvalue()
    places = [shown.index(f"step {step} of 8") for step in range(9)]
    assert places == sorted(places)
    between = [shown[first:second] for first, second in pairwise(places)]
    assert all(text.count("\x1b[1A") == 3 for text in between)  # up the lines of one episode
    assert waits == [0.2] * 8  # none after the end


def test_control_c_ends_the_display_cleanly(command, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.evaluation.episodes.time.sleep", interrupt)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    code, out, error = command("greedy --size tiny")
    assert (code, error) == (INTERRUPTED, "interrupted\n")
    assert "step 0 of 8" in out
    assert out.endswith("\x1b[?25h")  # the cursor is shown again


def test_a_gif_is_no_faster_than_viewers_show_it():
    with Image.open(io.BytesIO(gif_bytes(play_episode(REFERENCES["random"], TINY, 0), fps=1000))) as gif:
        assert gif.info["duration"] == 20
