"""What `lzc doctor` finds: one line each, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lzc_flows.errors import InputError

Status = Literal["ok", "warning", "missing"]
"""missing: something that is needed does not work; warning: what is not needed does not, or cannot be known."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    status
        How it is.
    found
        What there is; empty for nothing.
    hint
        What is wrong, or what to do; empty where all is well.
    """

    name: str
    status: Status
    found: str = ""
    hint: str = ""

    @classmethod
    def lacking(cls, name: str, hint: str, *, needed: bool, found: str = "") -> Finding:
        """Return the finding of something that is not there or does not work."""
        # an engine's errors begin with its name, which is this one
        words = re.sub(r"^engine '\w+': ", "", hint)
        return cls(name, "missing" if needed else "warning", found, words)

    @classmethod
    def of(cls, name: str, look: Callable[[], str], *, needed: bool) -> Finding:
        """Return what `look` finds, or the line in which it refuses."""
        try:
            return cls(name, "ok", look())
        except InputError as error:
            return cls.lacking(name, str(error), needed=needed)
