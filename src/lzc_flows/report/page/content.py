"""All that a report shows, read already: the page's builders know of no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pymatgen.core import Structure

from lzc_flows.report.candidates import CampaignTable
from lzc_flows.report.curves import Curves
from lzc_flows.report.page.comparison import OurConductivity

BEST = 12
"""Candidates of which a report shows everything, by default."""


@dataclass(frozen=True)
class StageOrigin:
    """Where what a stage says of a candidate comes from.

    Attributes
    ----------
    key
        Key of the stage's result.
    engine
        Engine and version; empty for a stage without one.
    uuid, index
        The task document.
    completed_at
        When it was stored, ISO 8601.
    seed
        Of the random numbers, of the first run where there are several; None for a stage without any.
    """

    stage: str
    key: str
    engine: str
    uuid: str
    index: int
    completed_at: str
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class CandidateDetail:
    """A candidate with all that the report shows of it.

    Attributes
    ----------
    summary
        The fields of its summary.
    crystals
        The crystals that its stages left, by the words for them, the one shown first first.
    curves
        The figures of its stages.
    origins
        One entry a finished stage.
    """

    summary: Mapping[str, Any]
    crystals: Mapping[str, Structure]
    curves: tuple[Curves, ...]
    origins: tuple[StageOrigin, ...]

    @property
    def key(self) -> str:
        """Its key."""
        return str(self.summary["key"])


@dataclass(frozen=True, eq=False)
class ReportContent:
    """A campaign at one moment.

    Attributes
    ----------
    table
        Its candidates with scores and ranks.
    spec
        Its file, as it was submitted.
    failures
        By a candidate's key, the stages that failed with the cause in one line.
    engines
        By stage, all engines with versions that results come from.
    corrections
        How often custodian did what, over all candidates.
    counts
        For each stage, the number of candidates by state, in words.
    details
        The best candidates.
    conductivities
        All conductivities that the campaign has computed.
    versions
        Packages that the report was made with.
    latest
        When the latest result was stored, ISO 8601; empty without any.
    """

    table: CampaignTable
    spec: Mapping[str, Any]
    details: tuple[CandidateDetail, ...] = ()
    failures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    engines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    corrections: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    conductivities: tuple[OurConductivity, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    latest: str = ""

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The rows of the table as dictionaries, the best first."""
        return [{str(name): value for name, value in row.items()} for row in self.table.rows.to_dict(orient="records")]
