"""What the page carries with it: scripts, stylesheet, plotly.js, and data as JSON that cannot end its own element."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import plotly
from markupsafe import Markup

from lzc_flows.documents.finite import finite

SHARED = Path(__file__).parent / "static"
"""The folder of scripts and styles, some of which the live page uses as well."""

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
"""plotly.js as the installed package brings it: nothing is fetched from elsewhere."""

STYLES = (SHARED / "style.css", SHARED / "report.css")
SCRIPTS = (PLOTLY, SHARED / "figures.js", SHARED / "table.js", SHARED / "report.js")
"""In the order in which they run."""

DIGITS = 5
"""Significant digits of numbers in the page's data: more than any of them is good for."""

_UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Script:
    """A script as it stands in the page, and the digest by which the page's policy allows it to run."""

    text: Markup
    digest: str


@cache
def scripts() -> tuple[Script, ...]:
    """Return the page's scripts."""
    return tuple(_script(path.read_text(encoding="utf-8")) for path in SCRIPTS)


@cache
def style() -> Markup:
    """Return the page's stylesheet."""
    return Markup("\n".join(path.read_text(encoding="utf-8") for path in STYLES))


def policy() -> str:
    """Return the page's content security policy: its own scripts, by their digests, and no address at all."""
    allowed = " ".join(f"'{script.digest}'" for script in scripts())
    # plotly.js sets styles of its elements
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def embedded_json(content: Any) -> Markup:
    """Return content as JSON inside a script element: no text in it can end that element; infinities become null."""
    text = json.dumps(_rounded(finite(content)), ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))


def _script(text: str) -> Script:
    assert "</script" not in text.lower()  # it would end its own element
    body = f"\n{text}\n"
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    return Script(Markup(body), f"sha256-{digest}")


def _rounded(content: Any) -> Any:
    """Return content with its numbers to `DIGITS` digits, which makes the file half as large."""
    if isinstance(content, float):
        return float(f"{content:.{DIGITS}g}") if math.isfinite(content) and content else content
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return content
