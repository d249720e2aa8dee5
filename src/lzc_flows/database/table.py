"""Candidates as tables: what a query found, as a flat table or a file, and what a ranking follows from."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lzc_flows.database.fields import BOOKKEEPING, Field, all_fields, field_of
from lzc_flows.database.queries import Query, select, value_of
from lzc_flows.database.stores import Database
from lzc_flows.documents.finite import finite
from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically
from lzc_flows.ranking.criteria import CRITERIA, UNCERTAINTY_COLUMNS
from lzc_flows.ranking.tiers import DONE, STABILITY


def flat_table(found: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> pd.DataFrame:
    """Return a row a candidate and a column a field, units and descriptions in the columns' `attrs`.

    Dictionaries are laid out by their entries (``engines.relax``), lists are JSON text. Numbers are exact: a missing
    one is NaN (`<NA>` of a whole one), +inf stays. The columns follow from `names` alone, whatever was found.

    Parameters
    ----------
    found
        What `queries.select` returns.
    names
        Fields; where empty, all but those that only say where a summary came from (`fields.BOOKKEEPING`).
    """
    columns = table_fields(names)
    series = {field.name: _column(field, [value_of(entry, field.name) for entry in found]) for field in columns}
    table = pd.DataFrame(series)
    for field in columns:
        table[field.name].attrs.update(unit=field.unit, description=field.description)
    # a column that is taken out of a table has no attributes of its own: those of the table hold them all
    table.attrs["units"] = {field.name: field.unit for field in columns if field.unit}
    table.attrs["descriptions"] = {field.name: field.description for field in columns}
    return table


def table_fields(names: Sequence[str] = ()) -> list[Field]:
    """Return the columns of a flat table of these fields, the key first, each once."""
    wanted = names or [field.name for field in all_fields() if field.name not in BOOKKEEPING]
    entries = [field for name in ("key", *wanted) for field in field_of(name).entries()]
    return list({field.name: field for field in entries}.values())


def ranking_table(database: Database, campaign: str) -> pd.DataFrame:
    """Return one row a candidate with all that a ranking follows from.

    Key, cation and column; every criterion and the columns of their uncertainties, NaN where missing; what became of
    the framework in molecular dynamics (`STABILITY`), None where none ran; and the stages that are `DONE`, joined by
    semicolons.
    """
    numbers = (*CRITERIA, *UNCERTAINTY_COLUMNS)
    stages = dict.fromkeys(f"stages.{criterion.stage}.index" for criterion in CRITERIA.values())
    fields = ("key", "cation_axis", "column", *numbers, STABILITY, *stages)
    rows = [
        {
            "key": summary["key"],
            "cation": summary["cation_axis"],
            "column": summary["column"],
            **{name: summary.get(name) for name in numbers},
            STABILITY: summary.get(STABILITY),
            DONE: ";".join(summary.get("stages") or {}),
        }
        for summary in select(database, campaign, Query(fields=fields))
    ]
    table = pd.DataFrame(rows, columns=["key", "cation", "column", *numbers, STABILITY, DONE])
    return table.astype({**dict.fromkeys(numbers, float), STABILITY: object, DONE: str})


def require_writable(path: Path) -> None:
    """Raise `InputError` unless a file of this name can be of a kind that is known, and this machine can write it."""
    if path.suffix.lower() not in _WRITERS:
        raise InputError(f"{path}: a file that ends in {', '.join(_WRITERS)} is allowed")
    if path.is_dir():
        raise InputError(f"{path}: a folder; a file is allowed")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError(f"{path}: Parquet needs pyarrow: pip install 'lzc-flows[parquet]'") from None


def write_table(found: Sequence[dict[str, Any]], names: Sequence[str], path: Path) -> None:
    """Write what was found as CSV, Parquet or JSON, by the name's ending, whole or not at all.

    CSV and Parquet hold `flat_table`, JSON the list as it is, with null for what is not finite.

    Raises
    ------
    InputError
        Another ending, or a place that cannot be written.
    """
    require_writable(path)
    content = _WRITERS[path.suffix.lower()](found, names)
    try:
        write_atomically(path, content)
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise InputError(f"{path}: a file that can be written is allowed ({error.strerror})") from None


def _column(field: Field, values: list[Any]) -> pd.Series:
    kinds = field.kinds
    if field.is_list:
        texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        return pd.Series(texts, dtype="string")
    if float in kinds:
        return pd.Series([math.nan if value is None else float(value) for value in values], dtype=float)
    if int in kinds:
        return pd.Series(values, dtype="Int64")
    return pd.Series(values, dtype="boolean" if bool in kinds else "string")


def _csv(found: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    return flat_table(found, names).to_csv(index=False).encode()


def _parquet(found: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    stream = io.BytesIO()
    flat_table(found, names).to_parquet(stream, index=False, engine="pyarrow")
    return stream.getvalue()


def _json(found: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    text = json.dumps(finite(found), indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


_WRITERS: dict[str, Callable[[Sequence[dict[str, Any]], Sequence[str]], bytes]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
}
