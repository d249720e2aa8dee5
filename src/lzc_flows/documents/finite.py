"""What JSON can say of a document."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """Return JSON's view of a value: NaN and infinities, for which it has no word, become null at any depth."""
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
