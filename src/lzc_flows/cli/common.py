"""What every command shares: one JSON document on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer
from rich.console import Console

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

stdout = Console()
stderr = Console(stderr=True)
if not stdout.is_terminal:
    stdout.width = 250  # a file or a pipe has no edge at which a table must be cut


def emit_json(document: Any) -> None:
    """Print `document` as JSON on stdout; NaN and infinities become null, as JSON has no word for them."""
    print(json.dumps(_finite(document), indent=2, ensure_ascii=False, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
