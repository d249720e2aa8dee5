"""Candidates of a campaign: their keys, and the job of each of their stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jobflow import Job, OnMissing

from lzc_flows import __version__
from lzc_flows.crystal.doping import DopedCell, expand_grid
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.flows.spec import FOLLOWS, CampaignSpec
from lzc_flows.flows.stage_jobs import STAGE_JOBS

RESULTS_VERSION = "3"
"""Raised when the same input would give other numbers: old results are then not taken for new ones."""


@dataclass(frozen=True)
class Candidate:
    """One ordered structure of a combination under one protocol."""

    key: str
    stage_keys: dict[str, str]
    """Key of each stage's result: the same one is never computed twice, whichever candidates share it."""
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
        common = {"results": RESULTS_VERSION, "host": self.spec.host.fingerprint(), "rank": 0}
        chains = {stage: {**common, "stages": self._chain(stage)} for stage in self.spec.stages.names}
        candidates = []
        for cell in cells:
            keys = {stage: _key(cell, chain) for stage, chain in chains.items()}
            candidates.append(Candidate(_key(cell, {**common, "stages": keys}), keys, cell))
        return candidates

    def _chain(self, stage: str | None) -> list[dict[str, Any]]:
        """Return all settings that a stage's result follows from: those of the stages before it, and its own."""
        if stage is None:
            return []
        settings = getattr(self.spec.stages, stage)
        content = settings.model_dump(mode="json", exclude={"top"})  # the gate changes no result
        if "engine" in content:
            content["engine_version"] = engine_of(settings.engine).stamp().version
        if stage == "stability":
            from lzc_flows.crystal.phases import phases_checksum

            content["phases"] = phases_checksum()
        return [*self._chain(FOLLOWS[stage]), {stage: content}]

    def first_jobs(self, candidates: list[Candidate]) -> Iterator[Job]:
        """Yield the order job of each candidate."""
        from lzc_flows.jobs.order import OrderMaker

        stage = self.spec.stages.order
        maker = OrderMaker(engine=stage.engine, protocol=stage.protocol)
        for candidate in candidates:
            job = maker.make(self.spec.host, candidate.cell.combination)
            yield self._labelled(job, candidate, "order")

    def next_job(self, candidate: Candidate, stage: str, previous_uuid: str) -> Job:
        """Return the job of a later stage; it reads the structure, or the hops, of the stage that it follows."""
        settings = getattr(self.spec.stages, stage)
        if stage not in STAGE_JOBS or settings is None:
            raise ValueError(f"no job for stage {stage!r}")
        job = STAGE_JOBS[stage](settings, self.spec, previous_uuid)
        return self._labelled(job, candidate, stage)

    def _labelled(self, job: Job, candidate: Candidate, stage: str) -> Job:
        key = candidate.stage_keys[stage]
        job.update_metadata({"key": key, "stage": stage, "campaign": self.spec.name, "lzc_flows": __version__})
        job.update_config({"on_missing_references": OnMissing.ERROR})
        job.name = f"{stage} {key}"
        return job


def _key(cell: DopedCell, settings: dict[str, Any]) -> str:
    """Return readable words and a checksum of all that changes the result."""
    content = {**settings, "combination": cell.combination.model_dump(mode="json")}
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
    return f"{cell.combination.slug}_{checksum}"
