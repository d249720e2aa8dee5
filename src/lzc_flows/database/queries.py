"""Questions to the candidate summaries."""

from __future__ import annotations

import contextlib
import re
from typing import Any, get_args, get_origin

import pandas as pd

from lzc_flows.database.stores import CAMPAIGNS, CANDIDATES, PLAN, Database
from lzc_flows.documents.candidate import CandidateDoc
from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import CRITERIA

_CONDITION = re.compile(r"^\s*(?P<field>\w+)\s*(?P<operator><=|>=|!=|=|<|>|~)\s*(?P<value>.+?)\s*$")
"""The first operator counts: a value may hold others."""

_OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_CONTAINS = "~"
_ION_FIELDS = {"cation": "cation_element", "anion": "anion_element"}
"""Fields whose value may be an ion (Ti3+) or its element (Ti)."""


def parse_where(where: str) -> dict[str, Any]:
    """Return the MongoDB filter of an expression such as ``cation=Ti, barrier_3d<0.6``.

    Conditions are joined by commas, all must hold. ``none`` stands for a value that is not there. ``~`` asks whether
    a text, or one of a list of texts, contains a value, in capitals or not: ``corrections~ALGO = Normal``.

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
    if operator == _CONTAINS:
        return {field: {"$regex": _contained(text, match), "$options": "i"}}
    value = _parse_value(text, match)
    if field in _ION_FIELDS and isinstance(value, str) and not value.endswith(("+", "-")):
        field = _ION_FIELDS[field]
    return {field: {_OPERATORS[operator]: value}}


def _parse_value(condition: str, match: re.Match[str]) -> Any:
    """Return the value as the field's type: text stays text, also where it looks like a number."""
    value = match["value"].strip("'\"")
    is_equality = match["operator"] in ("=", "!=")
    if value.lower() == "none" and is_equality:
        return None
    kinds = _kinds(CandidateDoc.model_fields[match["field"]].annotation)
    if bool in kinds and is_equality and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if str in kinds and is_equality:
        return value
    if int in kinds or float in kinds:
        with contextlib.suppress(ValueError):
            return float(value)
    raise InputError(f"condition {condition.strip()!r}: {_allowed(kinds)}")


def _contained(condition: str, match: re.Match[str]) -> str:
    """Return the regular expression of a text that contains the value as it stands."""
    annotation = CandidateDoc.model_fields[match["field"]].annotation
    if str not in _kinds(annotation) or get_origin(annotation) is dict:
        raise InputError(f"condition {condition.strip()!r}: ~ is allowed for text and lists of text")
    return re.escape(match["value"].strip("'\""))


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that a field's annotation is made of, such as float and None."""
    parts = get_args(annotation)
    return set().union(*map(_kinds, parts)) if parts else {annotation}


def _allowed(kinds: set[Any]) -> str:
    if int in kinds or float in kinds:
        return "a number is allowed, or = none"
    return "true, false or none is allowed" if bool in kinds else "=, != and ~ are allowed for text"


def campaign_document(database: Database, name: str) -> dict[str, Any]:
    """Return a submitted campaign's document; raise `InputError` naming the known ones."""
    found = database.collection(CAMPAIGNS).find_one({"name": name}, {"_id": False})
    if found is None:
        known = sorted(entry["name"] for entry in database.collection(CAMPAIGNS).find({}, {"name": True}))
        raise InputError(f"campaign {name!r}: not in the database; it holds {', '.join(known) or 'none'}")
    return found


def planned_results(database: Database, campaign: str) -> dict[str, str]:
    """Return the keys of all results that a campaign wants, one a candidate and stage, with the candidate's key."""
    plans = database.collection(PLAN).find({"campaigns": campaign}, {"key": True, "stage_keys": True})
    return {key: plan["key"] for plan in plans for key in plan["stage_keys"].values()}


def planned_keys(database: Database, campaign: str) -> set[str]:
    """Return the keys of all results that a campaign wants."""
    return set(planned_results(database, campaign))


def planned_candidates(database: Database, campaign: str) -> int:
    """Return the number of a campaign's candidates."""
    return database.collection(PLAN).count_documents({"campaigns": campaign})


def planned_stages(database: Database, campaign: str) -> dict[str, int]:
    """Return how many candidates are to run each stage, all or what its gate lets pass; empty before a submission."""
    found = database.collection(CAMPAIGNS).find_one({"name": campaign}, {"spec.stages": True})
    candidates = planned_candidates(database, campaign)
    there = {name: stage for name, stage in found["spec"]["stages"].items() if stage is not None} if found else {}
    return {name: min(stage.get("top") or candidates, candidates) for name, stage in there.items()}


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
