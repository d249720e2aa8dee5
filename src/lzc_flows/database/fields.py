"""The fields of a candidate's summary, by the names that expressions, selections and orders use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from lzc_flows.documents.candidate import STAGES, CandidateDoc, StageRecord
from lzc_flows.errors import InputError

BOOKKEEPING = ("stage_keys", "campaigns", "stages", "built_from")
"""Fields that tables leave out unless they are asked for."""

_UNIT = re.compile(r", in ([^;,]+?)(?=[;.,](?:\s|$))")


@dataclass(frozen=True)
class Field:
    """A field of a summary, or an entry of one that is a dictionary, such as ``engines.relax``.

    Attributes
    ----------
    name
        As it is written, dots included.
    annotation
        Type of its values, such as ``float | None``.
    description
        What it is, with its unit.
    """

    name: str
    annotation: Any
    description: str

    @property
    def kinds(self) -> frozenset[Any]:
        """The types that the annotation is made of, such as float and None's."""
        return frozenset(_kinds(self.annotation))

    @property
    def is_dict(self) -> bool:
        """Whether it has entries of its own."""
        return get_origin(self.annotation) is dict or self.annotation is StageRecord

    @property
    def is_list(self) -> bool:
        """Whether it holds several values."""
        return get_origin(self.annotation) in (list, tuple)

    @property
    def is_number(self) -> bool:
        """Whether it is a single number."""
        return not (self.is_dict or self.is_list) and bool(self.kinds & {int, float})

    @property
    def is_text(self) -> bool:
        """Whether it is a text or a list of texts."""
        return not self.is_dict and str in self.kinds

    @property
    def unit(self) -> str | None:
        """The unit, such as eV, None without one."""
        found = _UNIT.search(self.description)
        return found[1] if found else None

    @property
    def heading(self) -> str:
        """Name and unit, for the top of a column."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def entries(self) -> Iterator[Field]:
        """Yield the fields that it is made of, itself where it has no entries: what a flat table has as columns."""
        if not self.is_dict:
            yield self
            return
        names = StageRecord.model_fields if self.annotation is StageRecord else STAGES
        for name in names:
            yield from field_of(f"{self.name}.{name}").entries()


@cache
def field_of(name: str) -> Field:
    """Return the field of that name.

    Raises
    ------
    InputError
        There is none; the line names those that there are.
    """
    first, *rest = name.split(".")
    if first not in CandidateDoc.model_fields:
        raise InputError(f"unknown field {name!r}; allowed are {', '.join(CandidateDoc.model_fields)}")
    described = CandidateDoc.model_fields[first]
    annotation, description = described.annotation, described.description or ""
    for word in rest:
        names = _entry_names(annotation)
        if word not in names:
            allowed = f"; allowed after the dot are {', '.join(names)}" if names else ": that field has no entries"
            raise InputError(f"unknown field {name!r}{allowed}")
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            described = annotation.model_fields[word]
            annotation, description = described.annotation, described.description or ""
        else:
            annotation = get_args(annotation)[1]
    return Field(name, annotation, description)


def all_fields() -> list[Field]:
    """Return the fields of a summary, in its order."""
    return [field_of(name) for name in CandidateDoc.model_fields]


def names_in(selection: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of a selection, given one by one or as a text with commas."""
    parts = selection.split(",") if isinstance(selection, str) else selection
    return tuple(name.strip() for name in parts if name.strip())


def _entry_names(annotation: Any) -> list[str]:
    if get_origin(annotation) is dict:
        return list(STAGES)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.model_fields)
    return []


def _kinds(annotation: Any) -> set[Any]:
    parts = [part for part in get_args(annotation) if part is not Ellipsis]
    return set().union(*map(_kinds, parts)) if parts else {annotation}
