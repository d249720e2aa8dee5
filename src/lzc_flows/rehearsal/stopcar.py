"""STOPCAR: how a run is asked to end in order."""

from __future__ import annotations

import os
import re
from enum import Enum
from pathlib import Path

_TAG = re.compile(r"\b(LSTOP|LABORT)\s*=\s*\.?(T|F)", re.IGNORECASE)


class Stop(Enum):
    """When to end."""

    NOT = "go on"
    AFTER_IONIC_STEP = "soft stop encountered!  aborting job ..."
    AFTER_ELECTRONIC_STEP = "hard stop encountered!  aborting job ..."


def asked_to_stop(folder: Path) -> Stop:
    """Return what STOPCAR asks for; it is deleted, as by VASP, if it may be written to."""
    file = folder / "STOPCAR"
    try:
        content = file.read_text()
    except OSError:
        return Stop.NOT
    asked = {name.upper() for name, value in _TAG.findall(content) if value.upper() == "T"}
    if not asked:
        return Stop.NOT
    if os.access(file, os.W_OK):
        file.unlink(missing_ok=True)
    return Stop.AFTER_ELECTRONIC_STEP if "LABORT" in asked else Stop.AFTER_IONIC_STEP
