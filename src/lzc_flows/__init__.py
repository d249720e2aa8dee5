"""High-throughput screening of doped Li2ZrCl6 halide electrolytes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return `Campaign` of `lzc_flows.api`, imported when first asked for: it brings pymatgen and pandas along."""
    if name == "Campaign":
        return import_module("lzc_flows.api").Campaign
    raise AttributeError(f"module 'lzc_flows' has no attribute {name!r}")
