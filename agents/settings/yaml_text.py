"""Parse and write settings as YAML, of which a strict part is allowed.

Numbers and truth values are written as in YAML 1.2's core schema: `yes`, `010`, `1:30` and `1_000` are texts, which no
number accepts. A key that stands twice, and anchors, which can inflate a small file, are errors.
"""

import re
from typing import Any

import yaml

MAX_CHARACTERS = 100_000  # length limit of a settings file
SCALARS = {  # patterns of YAML 1.2's core schema, and the characters they can begin with
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}


class _StrictLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own name

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors (&) and aliases (*) are not allowed", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):  # quotes what YAML 1.1 or our loader would take for something other than text
    pass


for _kind, (_pattern, _first) in SCALARS.items():
    for _side in (_StrictLoader, _Dumper):
        _side.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)


def parse(text: str) -> dict[str, Any]:
    """Parse settings from YAML.

    Raises:
        ValueError: The text is too long, is not YAML of the allowed kind, or is not a mapping.
    """
    content = parse_value(text)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError("it must be a mapping of settings, such as 'episodes: 2000'")
    return content


def parse_value(text: str) -> Any:
    """Parse any value from YAML, such as `1e-4` or `[256, 256]`.

    Raises:
        ValueError: The text is too long, or is not YAML of the allowed kind.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it is longer than {MAX_CHARACTERS} characters")
    try:
        return yaml.load(text, _StrictLoader)  # a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark and "\n" in text.strip() else ""
        raise ValueError(f"{line}{error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a number with too many digits
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from error


def dump(settings: dict[str, Any]) -> str:
    """Return settings as YAML, in the order of the dictionary."""
    return yaml.dump(settings, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)
