"""What custodian did about errors, in words that a query can look for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from custodian.custodian import Custodian

from lzc_flows.documents.base import Correction


def corrections_of(custodian: Custodian) -> list[Correction]:
    """Return all corrections of a run in their order; a handler that only took note has no actions."""
    return [
        Correction(
            handler=type(entry["handler"]).__name__,
            errors=[str(error) for error in entry["errors"]],
            actions=[words for action in entry["actions"] or [] for words in action_words(action)],
        )
        for job in custodian.run_log
        for entry in job["corrections"]
    ]


def action_words(action: Any) -> list[str]:
    """Return what an action changes, such as ``INCAR: ALGO = Normal``, ``CONTCAR copied to POSCAR``.

    Custodian's actions are mappings in the words of its `Modder`: of a ``dict`` or a ``file``. Others, which are our
    handlers' own, are returned as they are.
    """
    if not isinstance(action, Mapping) or "action" not in action:
        return [str(action)]
    place = action.get("dict", action.get("file"))
    return [words for verb, what in action["action"].items() for words in _words(str(place), verb, what)]


def _words(place: str, verb: str, what: Any) -> Iterator[str]:
    if verb == "_file_copy":
        yield f"{place} copied to {what['dest']}"
    elif verb == "_file_delete":
        yield f"{place} deleted"
    elif verb == "_set":
        yield from (f"{place}: {name} = {value}" for name, value in _leaves(what, ""))
    elif verb == "_unset":
        yield from (f"{place}: {name} taken out" for name, _ in _leaves(what, ""))
    else:
        yield f"{place}: {verb.lstrip('_')} {what}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings with their paths, such as ``FORCE_EVAL/DFT/SCF/EPS_SCF``."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for name, entry in value.items():
        yield from _leaves(entry, f"{path}/{name}" if path else str(name))
