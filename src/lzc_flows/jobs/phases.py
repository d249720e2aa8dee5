"""Reference phases, each relaxed once by an engine: what another job has stored is taken from the task store."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jobflow import CURRENT_JOB, JobStore
from monty.json import jsanitize
from pymatgen.core import Structure

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.phases import Phase
from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import Kpoints, checksum
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.documents.thermodynamics import PhaseDoc
from lzc_flows.engines.registry import engine_of
from lzc_flows.engines.relax_worker import Relaxed
from lzc_flows.jobs.relax import with_sites_of
from lzc_flows.recovery.relaxations import relax_shortly, relax_to_convergence

PHASE = "phase"
"""What stands as the stage of a phase's document, which is no candidate's."""

FOLDERS = {False: "crystals", True: "molecules"}
"""Where phases whose cell relaxes, and those whose cell is held, are relaxed together."""

LENGTH_ANGSTROM = 25.0
"""Meshes of k-points of small cells where a protocol has the divisions of a large one: 2×2×2 of some 12 Å, and what the
second source takes."""


@dataclass(frozen=True)
class Reference:
    """A crystal whose energy is wanted.

    Attributes
    ----------
    name, formula, knowledge, source
        As in `PhaseDoc`.
    identity
        All that its structure follows from.
    structure
        Where the relaxation starts, with oxidation states.
    molecules
        Whether its cell is held, being made of molecules.
    """

    name: str
    formula: str
    knowledge: Any
    source: str
    identity: str
    structure: Structure
    molecules: bool = False

    @classmethod
    def of_phase(cls, phase: Phase) -> Reference:
        """Return a packaged phase."""
        prototype, structure = phase.prototype, phase.structure()
        identity = repr(phase)
        return cls(
            phase.name, phase.formula, phase.knowledge, prototype.source, identity, structure, prototype.molecules
        )

    @classmethod
    def of_host(cls, spec: HostSpec) -> Reference:
        """Return the undoped host."""
        host = spec.read()
        formula = host.structure.composition.reduced_formula
        return cls(f"{formula} (host)", formula, "host", f"host {host.name}", spec.fingerprint(), host.structure)


@dataclass(frozen=True)
class Relaxing:
    """How and where references are relaxed.

    Attributes
    ----------
    engine
        What computes the forces.
    protocol
        Force limit, steps, optimizer; whether the cell relaxes is the reference's.
    folder
        Where the engine runs.
    earlier
        Folders of earlier launches.
    """

    engine: EngineSpec
    protocol: RelaxProtocol
    folder: Path
    earlier: Sequence[Path] = ()

    def of(self, reference: Reference) -> RelaxProtocol:
        """Return how a reference is relaxed."""
        return self.protocol.model_copy(update={"relax_cell": not reference.molecules})

    @property
    def small_cells(self) -> Relaxing:
        """The same for cells smaller than a candidate's, with k-points as dense as there."""
        engine, dft = self.engine, self.engine.dft
        if dft is not None and dft.kpoints.mesh is not None:
            kpoints = Kpoints(length_angstrom=LENGTH_ANGSTROM, scheme=dft.kpoints.scheme)
            engine = engine.model_copy(update={"dft": dft.model_copy(update={"kpoints": kpoints})})
        return Relaxing(engine, self.protocol, self.folder, self.earlier)


@dataclass
class References:
    """Relaxed references.

    Attributes
    ----------
    phases
        Their documents by key, those that other jobs have stored among them.
    corrections
        What custodian mended in this job.
    finished
        Whether all are there; otherwise the time was over.
    """

    phases: dict[str, PhaseDoc] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)
    finished: bool = True


def relax_references(wanted: Sequence[Reference], relaxing: Relaxing) -> References:
    """Return the wanted phases, relaxed; those that the current job's store lacks are computed and stored there.

    Each is stored as soon as it is known, so that a job that is killed loses one at most. Two jobs that begin at the
    same moment may both relax a phase; their documents are equal.

    Raises
    ------
    InputError
        The engine is not installed or does not know an element.
    CalculationError
        The handlers could not mend a relaxation; the line says what was wrong last.
    """
    small = relaxing.small_cells
    by_key = {phase_key(reference, small): reference for reference in wanted}
    found = References(stored_phases(list(by_key)))
    missing = {key: reference for key, reference in by_key.items() if key not in found.phases}
    attempts = {} if small.engine.is_dft else _tried_together(missing, small)
    for key, reference in missing.items():
        relaxed = attempts.get(key)
        steps, corrections = (relaxed.steps, []) if relaxed else (0, [])
        if relaxed is None or not relaxed.converged:
            folder = small.folder / key
            folder.mkdir(exist_ok=True)
            start = relaxed.structure if relaxed else reference.structure
            run = relax_to_convergence(
                start, small.engine, small.of(reference), folder, [place / key for place in small.earlier]
            )
            if not run.finished:
                return References(found.phases, found.corrections, finished=False)
            relaxed, corrections = run.attempts[-1], run.corrections
            steps += sum(attempt.steps for attempt in run.attempts)
        document = _document(reference, relaxed, small).model_copy(update={"steps": steps, "corrections": corrections})
        _store_phase(key, document)
        found.phases[key] = document
        found.corrections += corrections
    return found


def phase_key(reference: Reference, relaxing: Relaxing) -> str:
    """Return readable words and a checksum of all that the relaxed phase follows from."""
    content = {
        "phase": reference.identity,
        "engine": relaxing.engine.model_dump(mode="json"),
        "engine_version": engine_of(relaxing.engine).stamp().version,
        "protocol": relaxing.of(reference).model_dump(mode="json"),
    }
    words = "-".join("".join(letter if letter.isalnum() else " " for letter in reference.name).split())
    return f"{PHASE}_{words}_{checksum(content)}"


def stored_phases(keys: Sequence[str]) -> dict[str, PhaseDoc]:
    """Return what earlier jobs have left of these phases in the current job's store, by key."""
    store: JobStore | None = CURRENT_JOB.store
    if store is None:
        return {}
    found = store.query({"metadata.key": {"$in": list(keys)}}, properties=["output", "metadata.key"])
    return {entry["metadata"]["key"]: PhaseDoc.from_stored(entry["output"]) for entry in found}


def _store_phase(key: str, document: PhaseDoc) -> None:
    """Store a phase as a job's result is stored, under a name that follows from its key."""
    store: JobStore | None = CURRENT_JOB.store
    if store is None:
        return
    entry = {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, key)),
        "index": 1,
        "output": jsanitize(document, strict=True, enum_values=True, allow_bson=True),
        "completed_at": datetime.now().isoformat(),
        "metadata": {"key": key, "stage": PHASE},
        "hosts": [],
        "name": key,
    }
    store.update(entry, key=["uuid", "index"])


def _tried_together(references: dict[str, Reference], relaxing: Relaxing) -> dict[str, Relaxed]:
    """Return one attempt at each reference, converged or not, by few processes: a start costs more than a phase."""
    attempts: dict[str, Relaxed] = {}
    for molecules, name in FOLDERS.items():
        some = {key: reference for key, reference in references.items() if reference.molecules == molecules}
        if some:
            folder = relaxing.folder / name
            folder.mkdir(exist_ok=True)
            structures = [reference.structure for reference in some.values()]
            protocol = relaxing.of(next(iter(some.values())))
            run = relax_shortly(structures, relaxing.engine, protocol, folder)
            attempts |= dict(zip(some, run.attempts, strict=True))
    return attempts


def _document(reference: Reference, relaxed: Relaxed, relaxing: Relaxing) -> PhaseDoc:
    return PhaseDoc(
        name=reference.name,
        formula=reference.formula,
        knowledge=reference.knowledge,
        source=reference.source,
        structure=with_sites_of(reference.structure, relaxed.structure),
        energy_per_atom_ev=relaxed.energy_ev / len(relaxed.structure),
        steps=relaxed.steps,
        engine=engine_of(relaxing.engine).stamp(),
        protocol=relaxing.of(reference),
    )
