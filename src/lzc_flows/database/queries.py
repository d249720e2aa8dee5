"""Questions to the candidate summaries."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from lzc_flows.database.stores import CAMPAIGNS, CANDIDATES, PLAN, Database
from lzc_flows.documents.candidate import CandidateDoc
from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import CRITERIA

_CONDITION = re.compile(r"^\s*(?P<field>\w+)\s*(?P<operator><=|>=|!=|=|<|>)\s*(?P<value>.+?)\s*$")
_OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_ION_FIELDS = {"cation": "cation_element", "anion": "anion_element"}
"""Fields whose value may be an ion (Ti3+) or its element (Ti)."""


def parse_where(where: str) -> dict[str, Any]:
    """Return the MongoDB filter of an expression such as ``cation=Ti, barrier_3d<0.6``.

    Conditions are joined by commas, all must hold. ``none`` stands for a value that is not there.

    Raises
    ------
    InputError
        A condition that does not parse, or a field that summaries lack.
    """
    conditions = [_parse_condition(text) for text in where.split(",") if text.strip()]
    return {"$and": conditions} if conditions else {}


def _parse_condition(text: str) -> dict[str, Any]:
    match = _CONDITION.match(text)
    if match is None:
        raise InputError(f"condition {text.strip()!r}: FIELD OPERATOR VALUE is allowed, such as cation=Ti")
    field, operator = match["field"], match["operator"]
    if field not in CandidateDoc.model_fields:
        allowed = ", ".join(CandidateDoc.model_fields)
        raise InputError(f"condition {text.strip()!r}: unknown field {field!r}; allowed are {allowed}")
    value = _parse_value(match["value"])
    if field in _ION_FIELDS and isinstance(value, str) and not value.endswith(("+", "-")):
        field = _ION_FIELDS[field]
    return {field: {_OPERATORS[operator]: value}}


def _parse_value(text: str) -> Any:
    if text.lower() == "none":
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text.strip("'\"")


def campaign_document(database: Database, name: str) -> dict[str, Any]:
    """Return a submitted campaign's document; raise `InputError` naming the known ones."""
    found = database.collection(CAMPAIGNS).find_one({"name": name}, {"_id": False})
    if found is None:
        known = sorted(entry["name"] for entry in database.collection(CAMPAIGNS).find({}, {"name": True}))
        raise InputError(f"campaign {name!r}: not in the database; it holds {', '.join(known) or 'none'}")
    return found


def planned_keys(database: Database, campaign: str) -> set[str]:
    """Return the keys of a campaign's candidates."""
    return {plan["key"] for plan in database.collection(PLAN).find({"campaigns": campaign}, {"key": True})}


def candidates(database: Database, campaign: str, where: str = "") -> list[dict[str, Any]]:
    """Return the summaries of a campaign's candidates, sorted by key."""
    criteria = {"$and": [{"campaigns": campaign}, parse_where(where)]}
    return list(database.collection(CANDIDATES).find(criteria, {"_id": False}).sort("key", 1))


def ranking_table(database: Database, campaign: str) -> pd.DataFrame:
    """Return one row a candidate: key, cation, column and every criterion, NaN where missing."""
    rows = [
        {
            "key": summary["key"],
            "cation": summary["cation_axis"],
            "column": summary["column"],
            **{name: summary.get(name) for name in CRITERIA},
        }
        for summary in candidates(database, campaign)
    ]
    table = pd.DataFrame(rows, columns=["key", "cation", "column", *CRITERIA])
    return table.astype(dict.fromkeys(CRITERIA, float))
