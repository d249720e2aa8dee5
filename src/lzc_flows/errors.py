"""The two ways in which lzc-flows says no."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: one line that names the input and what is allowed. The command line exits with 2."""


class CalculationError(RuntimeError):
    """A calculation that ran and failed. The command line exits with 1."""
