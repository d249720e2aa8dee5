"""Questions to the candidate summaries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lzc_flows.database.expression import parse_where
from lzc_flows.database.fields import field_of
from lzc_flows.database.flat_filter import flattened
from lzc_flows.database.stores import CANDIDATES, SELECTIVE, Database
from lzc_flows.errors import InputError


@dataclass(frozen=True)
class Query:
    """Which candidates, what of them, in which order, and how many.

    Attributes
    ----------
    where
        An expression, see `lzc_flows.database.expression`; all candidates where empty.
    fields
        Names of fields, such as ``barrier_3d`` or ``engines.relax``; all where empty. The key always comes with them.
    sort
        Names of fields, the most important first, such as ``("-sigma_mS_cm", "key")``; ``-`` turns the order round.
        What has no value comes last either way; equals follow by key.
    limit
        At most so many.

    Raises
    ------
    InputError
        An expression that does not parse, a field that is not there or has no order, a limit below 1.
    """

    where: str = ""
    fields: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        parse_where(self.where)
        for name in self.fields:
            field_of(name)
        for name in self.sort:
            if field_of(name.removeprefix("-")).is_dict:
                raise InputError(f"sort by {name!r}: an entry is allowed, such as {name}.relax")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit {self.limit}: 1 and above is allowed")


def select(database: Database, campaign: str, query: Query) -> list[dict[str, Any]]:
    """Return what a query asks of a campaign's candidates, one dictionary a candidate, nested as in the summary."""
    ordering = [(name.removeprefix("-"), name.startswith("-")) for name in query.sort]
    wanted = dict.fromkeys(("key", *query.fields))
    asked = {**wanted, **dict.fromkeys(name for name, _ in ordering)} if query.fields else {}
    found = list(database.collection(CANDIDATES).find(_criteria(campaign, query.where), _projection(list(asked))))
    # in Python: the embedded server's sort does not know what comes last
    found.sort(key=lambda entry: entry["key"])
    for name, descending in reversed(ordering):
        found = _sorted(found, name, descending=descending)
    chosen = found[: query.limit]
    if set(asked) == set(wanted) or not query.fields:
        return chosen
    return [_only(entry, list(wanted)) for entry in chosen]


def count(database: Database, campaign: str, where: str = "") -> int:
    """Return how many of a campaign's candidates fulfil an expression."""
    return database.collection(CANDIDATES).count_documents(_criteria(campaign, where))


def candidates(database: Database, campaign: str, where: str = "") -> list[dict[str, Any]]:
    """Return the summaries of a campaign's candidates, sorted by key."""
    return select(database, campaign, Query(where))


def value_of(entry: Mapping[str, Any], name: str) -> Any:
    """Return a value of a summary by the name of its field, dots included; None where it is not there."""
    found: Any = entry
    for word in name.split("."):
        found = found.get(word) if isinstance(found, Mapping) else None
    return found


def _criteria(campaign: str, where: str) -> dict[str, Any]:
    return flattened({"$and": [{"campaigns": campaign}, parse_where(where)]}, first=SELECTIVE)


def _projection(names: list[str]) -> dict[str, bool]:
    """Return what the server is to send: the names, but none within another of them, which MongoDB refuses."""
    outer = [name for name in names if not any(name.startswith(f"{other}.") for other in names)]
    return {"_id": False, **dict.fromkeys(outer, True)}


def _only(entry: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return a summary with these fields and no others."""
    kept: dict[str, Any] = {}
    for name in names:
        *outer, last = name.split(".")
        there, into = entry, kept
        for word in outer:
            there = there.get(word) or {}
            into = into.setdefault(word, {})
        if last in there:
            into[last] = there[last]
    return kept


def _sorted(entries: list[dict[str, Any]], name: str, *, descending: bool) -> list[dict[str, Any]]:
    """Return entries ordered by a field, in their order where equal, those without a value last."""
    there = [entry for entry in entries if not _is_missing(value_of(entry, name))]
    rest = [entry for entry in entries if _is_missing(value_of(entry, name))]
    return sorted(there, key=lambda entry: value_of(entry, name), reverse=descending) + rest


def _is_missing(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, float) and math.isnan(value))
