"""Write Markdown that shows plain text as it is."""

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"[\\`*_\[\]<>|#]")
CODE = re.compile(r"(--[a-z][\w-]*(?:/--[\w-]+)?)|(`[^`]+`)")


def escaped(text: str) -> str:
    """Return a text for Markdown: options and what stands in backticks as code, all other characters as they are."""
    parts = CODE.split(" ".join(text.split()))
    # Of each three parts the first is text, the second an option, the third code; one of the last two is None.
    return "".join(
        SPECIAL.sub(r"\\\g<0>", part) if index % 3 == 0 else f"`{part.strip('`')}`"
        for index, part in enumerate(parts)
        if part
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
