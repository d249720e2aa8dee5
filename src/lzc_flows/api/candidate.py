"""One candidate in a notebook: its summary, and what its stages have left."""

from __future__ import annotations

import base64
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from lzc_flows.database.fields import BOOKKEEPING, field_of
from lzc_flows.database.lookup import stage_structure
from lzc_flows.database.stores import TASKS, Database
from lzc_flows.documents.aimd import AimdDoc
from lzc_flows.documents.arrhenius import ArrheniusStageDoc
from lzc_flows.documents.base import Document
from lzc_flows.documents.bvse import BvseDoc
from lzc_flows.documents.candidate import STAGES, CandidateDoc
from lzc_flows.documents.electronic import ElectronicDoc
from lzc_flows.documents.neb import HopNetworkDoc
from lzc_flows.documents.order import OrderDoc
from lzc_flows.documents.relax import RelaxDoc
from lzc_flows.documents.thermodynamics import ThermodynamicsDoc
from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically
from lzc_flows.trajectory.model import Trajectory
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.transport.bvse import EnergyField
from lzc_flows.transport.packing import unpack_field

_DOCUMENTS: dict[str, type[Document]] = {
    "order": OrderDoc,
    "relax": RelaxDoc,
    "bvse": BvseDoc,
    "stability": ThermodynamicsDoc,
    "aimd": AimdDoc,
    "arrhenius": ArrheniusStageDoc,
    "cineb": HopNetworkDoc,
    "electronic": ElectronicDoc,
}


class Candidate:
    """A candidate, as `Campaign.candidate` returns it.

    Attributes
    ----------
    key
        Its key.
    """

    def __init__(self, database: Database, summary: dict[str, Any]) -> None:
        self.key: str = summary["key"]
        self._database = database
        self._summary = summary

    @cached_property
    def summary(self) -> CandidateDoc:
        """All numbers of the candidate, those of stages not run yet None; each field's description has its unit."""
        return CandidateDoc(**self._summary)

    @property
    def stages(self) -> list[str]:
        """Names of the stages that are done."""
        return [stage for stage in STAGES if stage in self._summary["stages"]]

    def structure(self, stage: str = "relax") -> Structure:
        """Return the crystal of a stage: ``order`` or ``relax`` the one that it left, later ones that they began with.

        Raises
        ------
        InputError
            No such stage, none with a crystal of its own, or not done yet.
        """
        _require_stage(stage)
        if "structure" not in _DOCUMENTS[stage].model_fields:
            with_one = [name for name, document in _DOCUMENTS.items() if "structure" in document.model_fields]
            raise InputError(f"stage {stage!r}: has no crystal of its own; {', '.join(with_one)} have")
        return stage_structure(self._database, self._summary, (stage,))[0]

    def document(self, stage: str) -> Document:
        """Return the whole document of a stage, but for what lies in the data store, which is None in it.

        Raises
        ------
        InputError
            No such stage, or not done yet.
        """
        output = self._database.collection(TASKS).find_one(self._place(stage), {"output": True})
        assert output is not None  # the summary was built from it
        stored = output["output"]
        in_data_store = [name for name, value in stored.items() if isinstance(value, dict) and "blob_uuid" in value]
        return _DOCUMENTS[stage].from_stored({**stored, **dict.fromkeys(in_data_store)})

    def landscape(self) -> EnergyField:
        """Return the bond-valence site energies of the mobile ion on a grid, in eV.

        Raises
        ------
        InputError
            The bvse stage is not done yet, or kept no landscape.
        """
        return unpack_field(self._data("bvse", "field"))

    def trajectory(self, path: Path | str) -> Trajectory:
        """Write the trajectory of molecular dynamics to an HDF5 file and return it; positions stay in the file.

        Raises
        ------
        InputError
            The aimd stage is not done yet, or kept no trajectory.
        """
        stored = self._data("aimd", "trajectory")
        write_atomically(Path(path), base64.b64decode(stored["hdf5_base64"]))
        return read_trajectory(Path(path))

    def __repr__(self) -> str:
        return f"Candidate({self.key!r}, done: {', '.join(self.stages) or 'nothing'})"

    def _repr_html_(self) -> str:
        rows = [
            f"<tr><td>{escape(field_of(name).heading)}</td><td>{escape(str(value))}</td></tr>"
            for name, value in self._summary.items()
            if value not in (None, [], {}) and name not in BOOKKEEPING and name in CandidateDoc.model_fields
        ]
        return f"<table><caption>{escape(repr(self))}</caption>{''.join(rows)}</table>"

    def _place(self, stage: str) -> dict[str, Any]:
        """Return where the task document of a stage is."""
        _require_stage(stage)
        record = self._summary["stages"].get(stage)
        if record is None:
            done = ", ".join(self.stages) or "nothing"
            raise InputError(f"candidate {self.key!r}: stage {stage} is not done yet; done: {done}")
        return {"uuid": record["uuid"], "index": record["index"]}

    def _data(self, stage: str, name: str) -> dict[str, Any]:
        """Return a field of a stage's document that lies in the data store."""
        place = self._place(stage)
        store = self._database.job_store()
        store.connect()
        try:
            task = store.query_one(place, properties=["output"], load=True)
        finally:
            store.close()
        found = (task or {"output": {}})["output"].get(name)
        if found is None:
            raise InputError(f"candidate {self.key!r}: stage {stage} kept no {name}")
        return found


def _require_stage(stage: str) -> None:
    if stage not in _DOCUMENTS:
        raise InputError(f"stage {stage!r}: allowed are {', '.join(_DOCUMENTS)}")
