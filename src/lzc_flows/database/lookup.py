"""One candidate by its name, and the crystal that its stages have left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymatgen.core import Structure

from lzc_flows.database.stores import CANDIDATES, TASKS, Database
from lzc_flows.errors import InputError

NAMED_KEYS = 5
"""A refusal names this many of the keys that could have been meant."""


def find_candidate(database: Database, name: str, campaign: str | None = None) -> dict[str, Any]:
    """Return the summary of the candidate whose key, readable words or beginning of the key this is.

    Where several are, those of `campaign` are meant.

    Raises
    ------
    InputError
        None, or more than one; the line names some that there are.
    """
    entries = list(database.collection(CANDIDATES).find({}, {"key": True, "campaigns": True}))
    keys = sorted(entry["key"] for entry in entries)
    # the words before the checksum are the beginning of other candidates' words as well
    whole = [key for key in keys if name in (key, key.rpartition("_")[0])]
    found = whole or [key for key in keys if key.startswith(name)]
    if not found:
        raise InputError(f"candidate {name!r}: neither a file nor in the database; it holds {_named(keys)}")
    if len(found) > 1:
        its_own = {entry["key"] for entry in entries if campaign in entry.get("campaigns", [])}
        found = [key for key in found if key in its_own] or found
    if len(found) > 1:
        raise InputError(f"candidate {name!r}: that could be {_named(found)}")
    summary = database.collection(CANDIDATES).find_one({"key": found[0]}, {"_id": False})
    assert summary is not None  # summaries are never taken out
    return summary


def stage_structure(database: Database, summary: dict[str, Any], stages: Sequence[str]) -> tuple[Structure, str]:
    """Return the crystal that the first of these stages left that is done, and the stage's name.

    Raises
    ------
    InputError
        None of them is done.
    """
    stage = next((stage for stage in stages if stage in summary["stages"]), None)
    if stage is None:
        done = ", ".join(summary["stages"]) or "none"
        raise InputError(
            f"candidate {summary['key']!r}: no crystal yet: stage {' or '.join(stages)} is needed, and done: {done}"
        )
    record = summary["stages"][stage]
    task = database.collection(TASKS).find_one(
        {"uuid": record["uuid"], "index": record["index"]}, {"output.structure": True}
    )
    assert task is not None  # the summary was built from it
    return Structure.from_dict(task["output"]["structure"]), stage


def _named(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED_KEYS} more" if len(keys) > NAMED_KEYS else ""
    return (", ".join(keys[:NAMED_KEYS]) or "none") + more
