"""Describe the settings of a run as Markdown tables: key, type, default, and the comment at the field's definition."""

import ast
import dataclasses
import inspect
import types
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from agents.settings.schema import Settings
from docs.generators.markdown import escaped, table

HEADINGS = ("setting", "type", "default", "meaning")
TYPES = {int: "integer", float: "number", str: "text", bool: "`true` or `false`"}
LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


class Field(NamedTuple):
    """One field of a section."""

    name: str
    annotation: Any
    limits: list[Any]  # annotated_types' limits
    default: Any  # `...`: required, as in an abstract base


def settings_text() -> str:
    """Return a heading and a table for each section of the settings; sections of one class share a table."""
    sections = {field.name: type(getattr(Settings(), field.name)) for field in class_fields(Settings)}
    nested = {
        name: cls for name, cls in sections.items() if dataclasses.is_dataclass(cls) or issubclass(cls, BaseModel)
    }
    parts = [f"## The run\n\n{section_table(Settings, '', leave_out=nested)}"]
    first_names: dict[type, str] = {}
    for name, cls in nested.items():
        first = first_names.setdefault(cls, name)
        content = f"The settings and defaults of `{first}`." if first != name else section_table(cls, f"{name}.")
        parts.append(f"## {name}\n\n{escaped(inspect.getdoc(cls).partition(chr(10))[0])}\n\n{content}")
    return "\n\n".join(parts)


def section_table(cls: type, prefix: str, leave_out: Any = ()) -> str:
    """Return the table of one class; keys are as `--set` takes them, with this prefix."""
    comments = field_comments(cls)
    rows = [
        (f"`{prefix}{field.name}`", type_text(field), f"`{default_text(field.default)}`", escaped(comments[field.name]))
        for field in class_fields(cls)
        if field.name not in leave_out
    ]
    return table(HEADINGS, rows)


def class_fields(cls: type) -> Iterator[Field]:
    """Yield the fields of a pydantic model or a dataclass, in their order."""
    if issubclass(cls, BaseModel):
        for name, field in cls.model_fields.items():
            yield Field(name, field.annotation, field.metadata, field.get_default(call_default_factory=True))
    else:
        for field in dataclasses.fields(cls):
            yield Field(field.name, field.type, [], field.default)


def field_comments(cls: type) -> dict[str, str]:
    """Return the comment at each field of a class: behind its definition, above it, or that of its base class."""
    comments: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if "__annotations__" not in base.__dict__ or base is BaseModel:
            continue
        lines = inspect.getsource(base).splitlines()
        for node in ast.parse("\n".join(lines)).body[0].body:
            if isinstance(node, ast.AnnAssign) and (comment := comment_at(node, lines)):
                comments[node.target.id] = comment
    return comments


def comment_at(node: ast.AnnAssign, lines: list[str]) -> str:
    """Return the comment behind a definition, or the lines of comment above it; empty if there is none."""
    behind = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().partition("#")[2].strip()
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip().removeprefix("#").strip())
    return behind or " ".join(above)


def type_text(field: Field) -> str:
    """Return the type of a field with its limits in words; classes that no settings file can hold are left out."""
    limits = [
        f"{sign}\N{NO-BREAK SPACE}{getattr(limit, name)}"
        for limit in field.limits
        for name, sign in LIMITS.items()
        if hasattr(limit, name)
    ]
    return ", ".join([" or ".join(kinds(field.annotation)), *limits])


def kinds(annotation: Any) -> list[str]:
    """List the kinds of values of a type, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return [kind for argument in arguments for kind in kinds(argument)]
    if origin is Literal:
        return [f"`{value}`" for value in arguments]
    if origin is tuple:
        return [f"list of {kinds(arguments[0])[0]}s"]
    if annotation is type(None):
        return ["`null`"]
    return [TYPES[annotation]] if annotation in TYPES else []


def default_text(default: Any) -> str:
    """Return a default as it is written in a settings file."""
    if default is None:
        return "null"
    if isinstance(default, tuple):
        return f"[{', '.join(map(default_text, default))}]"
    return str(default).lower() if isinstance(default, bool) else str(default)
