"""Settings of the documentation's site, which `make docs` builds with Sphinx."""

import tomllib
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel

import agents
import benchmarks
from docs.generators.commands import commands_text
from docs.generators.settings import field_comments, settings_text

PROJECT = Path(__file__).parents[1] / "pyproject.toml"

for package in (agents, benchmarks):  # autodoc lists what is imported; these packages import at first use
    for name in package.__all__:
        setattr(package, name, getattr(package, name))

project = "tokentask"
release = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["generators"]
nitpicky = True  # a link to nothing is an error …
nitpick_ignore_regex = [("py:.*", ".*")]  # … but types of other libraries have no page here
smartquotes = False  # they would make one dash of the two of --option

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

default_role = "code"  # `name` in a docstring
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
add_module_names = False

html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_use_index = html_domain_indices = False  # search finds every name
html_show_search_summary = False  # browsers let no page of a disk read another

GENERATED = {
    "<!-- commands: written by make docs -->": commands_text,
    "<!-- settings: written by make docs -->": settings_text,
}


def setup(app):
    """Fill the pages whose text is generated while they are read, and mend what autodoc reads."""
    app.connect("source-read", fill_page)
    app.connect("autodoc-process-docstring", mend_docstring)
    app.connect("autodoc-process-signature", shorten_signature)


def fill_page(_app, _page, source):
    """Replace the marks of a page by their text; `source` is a list with the page's text."""
    for mark, write in GENERATED.items():
        if mark in source[0]:
            source[0] = source[0].replace(mark, write())


def mend_docstring(_app, _what, name, _object, _options, lines):
    """Describe fields of named tuples by their comments; drop the docstring in Markdown, which is a page of its own."""
    if "## Description" in lines:
        lines.clear()
    elif lines and lines[0].startswith("Alias for field number"):
        module, class_name, field = name.rsplit(".", 2)
        lines[:] = [field_comments(getattr(import_module(module), class_name)).get(field, "")]


def shorten_signature(_app, _what, _name, definition, _options, _signature, _returned):
    """Leave out the parameters of settings, which have a page of their own."""
    return ("(**settings)", None) if isinstance(definition, type) and issubclass(definition, BaseModel) else None
