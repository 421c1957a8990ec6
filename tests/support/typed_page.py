"""What a page tells people to type, typed."""

import re
import subprocess
import sys

from tests.support.commands import run_line

BLOCK = re.compile(r"```(yaml|python|bash)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"# (\S+\.\w+)\n")  # the first line of a block that people save


def type_page(text, options, folder, monkeypatch, capsys):
    """Save the files of a Markdown text and run its lines and programs in turn; return lines and their outputs.

    `options` has what is added to a command, by the longest beginning that fits, such as "train" or "train --resume".
    """
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)  # as `python -m` does
    outputs = []
    for kind, block in BLOCK.findall(text):
        if file := FILE.match(block):
            (folder / file[1]).write_text(block, encoding="utf-8")
        elif kind == "python":
            exec(block, {})
            outputs.append((block, capsys.readouterr().out))
        elif kind == "bash":
            outputs += [type_line(line, options, monkeypatch, capsys) for line in block.splitlines()]
    return outputs


def type_line(line, options, monkeypatch, capsys):
    """Run one line of a shell; commands of ours in this process."""
    if not line.startswith("python -m agents."):
        command = line.replace("python ", f"{sys.executable} ", 1)
        ended = subprocess.run(command, shell=True, check=True, stdout=subprocess.PIPE, text=True)
        return line, ended.stdout
    words = line.removeprefix("python -m agents.")
    added = max((start for start in options if words.startswith(start)), key=len, default=None)
    code, out, error = run_line(f"{words} {options.get(added, '')}", monkeypatch, capsys)
    assert code == 0, f"{line}: {error}"
    return line, out
