"""Campaigns in notebooks and scripts: what the database knows of them, as tables and objects. It reads only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lzc_flows.api.campaign import Campaign
    from lzc_flows.api.candidate import Candidate

__all__ = ["Campaign", "Candidate"]


def __getattr__(name: str) -> Any:
    """Return `Campaign` or `Candidate`, imported when first asked for: the live page needs neither."""
    if name in __all__:
        return getattr(import_module(f"{__name__}.{name.lower()}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
