"""Candidates of a campaign: their keys, and the job of each of their stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from jobflow import Job, OnMissing, OutputReference

from lzc_flows import __version__
from lzc_flows.crystal.doping import DopedCell, expand_grid
from lzc_flows.engines.mlip import engine_by_name
from lzc_flows.errors import InputError
from lzc_flows.flows.spec import STAGES, CampaignSpec
from lzc_flows.jobs.bvse import BVSEMaker
from lzc_flows.jobs.order import OrderMaker
from lzc_flows.jobs.relax import RelaxMaker

RESULTS_VERSION = "3"
"""Raised when the same input would give other numbers: old results are then not taken for new ones."""


@dataclass(frozen=True)
class Candidate:
    """One ordered structure of a combination under one protocol."""

    key: str
    cell: DopedCell


@dataclass(frozen=True)
class Campaign:
    """A campaign file with its candidates."""

    spec: CampaignSpec

    @cached_property
    def cells(self) -> list[DopedCell]:
        """The combinations, checked against the host.

        Raises
        ------
        InputError
            The grid is empty, or one of its combinations does not fit the host.
        """
        try:
            cells = expand_grid(self.spec.host.read(), self.spec.grid)
        except InputError as error:
            raise InputError(f"campaign {self.spec.name!r}: {error}") from None
        if not cells:
            raise InputError(f"campaign {self.spec.name!r}: its grid is empty: name cations or anions, or keep undoped")
        return cells

    @cached_property
    def candidates(self) -> list[Candidate]:
        """Every candidate of the grid.

        Raises
        ------
        InputError
            An engine is not installed: its version is part of the key.
        """
        cells = self.cells
        common = {
            "results": RESULTS_VERSION,
            "host": self.spec.host.fingerprint(),
            "stages": self.spec.stages.model_dump(mode="json"),
            "engines": [engine_by_name(name).stamp().version for name in self.spec.engines],
        }
        return [Candidate(_key(cell, common), cell) for cell in cells]

    def first_jobs(self, candidates: list[Candidate]) -> Iterator[Job]:
        """Yield the order job of each candidate."""
        stage = self.spec.stages.order
        maker = OrderMaker(engine=stage.engine, protocol=stage.protocol)
        for candidate in candidates:
            job = maker.make(self.spec.host, candidate.cell.combination)
            yield self._labelled(job, candidate.key, STAGES[0])

    def next_job(self, key: str, stage: str, previous_uuid: str) -> Job:
        """Return the job of a later stage; it reads its structure from the stage before."""
        reference = OutputReference(previous_uuid, (("a", "structure"),))
        if stage == "relax":
            relax = self.spec.stages.relax
            job = RelaxMaker(engine=relax.engine, protocol=relax.protocol).make(reference)
        elif stage == "bvse":
            job = BVSEMaker(protocol=self.spec.stages.bvse.protocol).make(reference)
        else:
            raise ValueError(f"no job for stage {stage!r}")
        return self._labelled(job, key, stage)

    def _labelled(self, job: Job, key: str, stage: str) -> Job:
        job.update_metadata({"key": key, "stage": stage, "campaign": self.spec.name, "lzc_flows": __version__})
        job.update_config({"on_missing_references": OnMissing.ERROR})
        job.name = f"{stage} {key}"
        return job


def _key(cell: DopedCell, common: dict) -> str:
    """Return readable words and a checksum of all that changes the result."""
    content = {**common, "combination": cell.combination.model_dump(mode="json"), "rank": 0}
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
    return f"{cell.combination.slug}_{checksum}"
