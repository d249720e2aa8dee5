"""Sphinx configuration. The page of the commands is written from the `lzc` program itself at each build."""

from importlib.metadata import version as package_version
from pathlib import Path

from sphinx.application import Sphinx
from typer.cli import get_docs_for_click
from typer.main import get_command

project = "lzc-flows"
author = "The lzc-flows developers"
release = package_version("lzc-flows")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_typehints = "description"


def write_commands(app: Sphinx) -> None:
    """Write the page of all commands and their options, as `typer lzc_flows.cli.main utils docs` prints it."""
    from lzc_flows.cli.main import app as lzc

    command = get_command(lzc)
    context = command.context_class(command, info_name="lzc", **command.context_settings)
    text = get_docs_for_click(obj=command, ctx=context, name="lzc", title="Commands")
    page = Path(app.srcdir) / "commands.md"
    if not page.is_file() or page.read_text(encoding="utf-8") != text:  # an unchanged page need not be read again
        page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Let the page be written before the sources are looked for."""
    app.connect("builder-inited", write_commands)
