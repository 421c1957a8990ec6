"""Format measured tables as Markdown, for the pages that show them."""

from rich.console import Group
from rich.table import Table


def markdown_text(measured: Table | Group) -> str:
    """Return tables as Markdown, each with its title before and its caption after it."""
    parts = measured.renderables if isinstance(measured, Group) else [measured]
    return "\n\n".join(_table_text(part) if isinstance(part, Table) else str(part) for part in parts)


def _table_text(table: Table) -> str:
    headings = [str(column.header) for column in table.columns]
    rules = ["---" if column.justify == "left" else "---:" for column in table.columns]
    rows = [
        headings,
        rules,
        *(list(map(str, row)) for row in zip(*(column.cells for column in table.columns), strict=True)),
    ]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n\n".join(str(part) for part in (table.title, lines, table.caption) if part)
