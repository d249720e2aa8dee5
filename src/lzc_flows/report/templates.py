"""Templates of pages: every value is escaped, and one that is not there is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def strict_templates(folder: Path) -> Environment:
    """Return the templates of a folder, without the blank lines that their blocks would leave."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
