"""Filters as the embedded server's indexes can serve them.

That server reads through the index of the first field of a filter that has one, and applies the rest to what it finds.
A filter with an operator such as `$and` at its top it applies to every document. MongoDB itself plans either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Filter = dict[str, Any]

_SERVED = {"$eq", "$in", "$lt", "$lte", "$gt", "$gte"}
"""Operators that the embedded server's indexes serve."""


def flattened(condition: Filter, first: Sequence[str]) -> Filter:
    """Return a filter of the same meaning, as flat as it can be, with those of the fields `first` that serve in front.

    Every clause has to give its fields operators, as those of `expression.parse_where` do, or a plain value.
    """
    flat: Filter = {}
    rest: list[Filter] = []
    for clause in _clauses(condition):
        ((name, wanted),) = clause.items()
        if name.startswith("$") or (name in flat and not _are_apart(flat[name], wanted)):
            rest.append(clause)
        elif name in flat:
            flat[name] = {**flat[name], **wanted}
        else:
            flat[name] = wanted
    order = [name for name in first if name in flat and _is_served(flat[name])]
    ordered = {name: flat[name] for name in dict.fromkeys([*order, *flat])}
    return {**ordered, "$and": rest} if rest else ordered


def _clauses(condition: Filter) -> Iterator[Filter]:
    """Yield filters of one entry each that all have to hold."""
    for name, wanted in condition.items():
        if name == "$and":
            for part in wanted:
                yield from _clauses(part)
        elif name == "$or":
            yield _one_of(wanted)
        elif name == "$nor" and len(wanted) == 1:
            yield _not(wanted[0])
        else:
            yield {name: wanted}


def _one_of(parts: list[Filter]) -> Filter:
    """Return the filter of what fulfils one of these: a list of values where all of them are about one field."""
    names = {name for part in parts for name in part}
    if len(names) == 1 and all(len(part) == 1 for part in parts):
        (name,) = names
        clauses = [part[name] for part in parts]
        if all(isinstance(clause, dict) and clause.keys() == {"$eq"} for clause in clauses):
            return {name: {"$in": [clause["$eq"] for clause in clauses]}}
    return {"$or": parts}


def _not(part: Filter) -> Filter:
    """Return the filter of what does not fulfil this one."""
    name, wanted = next(iter(part.items()))
    if len(part) == 1 and not name.startswith("$") and isinstance(wanted, dict):
        return {name: {"$not": wanted}}
    return {"$nor": [part]}


def _are_apart(one: Any, other: Any) -> bool:
    """Return whether two clauses about a field may be written as one: their operators differ."""
    return isinstance(one, dict) and isinstance(other, dict) and one.keys().isdisjoint(other)


def _is_served(wanted: Any) -> bool:
    """Return whether an index finds what is wanted; what has no value may be in none."""
    if not isinstance(wanted, dict):
        return wanted is not None
    return wanted.keys() <= _SERVED and None not in wanted.get("$in", ())
