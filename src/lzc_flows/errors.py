"""The two ways in which lzc-flows says no, and the one in which it says yes, but."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: one line that names the input and what is allowed. The command line exits with 2."""


class CalculationError(RuntimeError):
    """A calculation that ran and failed. The command line exits with 1."""


class InputWarning(UserWarning):
    """Input that was taken after a change: one line that names both. The command line prints it on stderr."""
