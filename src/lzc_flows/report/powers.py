"""Powers of ten as text, for figures whose fonts typeset no mathematics."""

from __future__ import annotations

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def ten_to(power: int) -> str:
    """Return ten to a power, such as "10⁻⁵"."""
    return f"10{str(power).translate(_RAISED)}"
