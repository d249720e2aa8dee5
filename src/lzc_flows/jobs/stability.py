"""The stability job: a doped crystal against the halides that it could form, all by one engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobflow import Maker, Response, job
from pymatgen.core import Composition, Species

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.phases import is_halogen, phases_within
from lzc_flows.crystal.reactions import Combination, Compound, lowest_combination
from lzc_flows.documents.dft import LZC
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.documents.relax import RelaxDoc
from lzc_flows.documents.thermodynamics import ComparedPhaseDoc, PhaseDoc, ReactionDoc, ThermodynamicsDoc
from lzc_flows.engines.registry import engine_of
from lzc_flows.jobs.phases import Reference, References, Relaxing, relax_references
from lzc_flows.recovery.folder import earlier_folders


@dataclass
class StabilityMaker(Maker):
    """Compare a relaxed crystal with packaged phases of the same engine.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What relaxed the crystal and relaxes the phases, or its name.
    protocol
        How; phases relax with their cells in any case.
    host
        The undoped crystal.
    """

    name: str = "stability"
    engine: EngineSpec | str = "nep"
    protocol: RelaxProtocol = field(default_factory=RelaxProtocol)
    host: HostSpec = field(default_factory=lambda: HostSpec(name="lzc"))

    @job(output_schema=ThermodynamicsDoc)
    def make(self, relaxed: RelaxDoc, prev_dir: str | Path | None = None) -> ThermodynamicsDoc | Response:
        """Return what the crystal gains or loses by its formation.

        Phases that any job has relaxed before with this engine and protocol are taken from the job's store. A DFT
        engine whose time is over stops in order, and a job that goes on replaces this one.

        Parameters
        ----------
        relaxed
            The crystal, as the relax job returns it.
        prev_dir
            Directory of an earlier part of the run.
        """
        here = Path.cwd()
        relaxing = Relaxing(engine_spec(self.engine, LZC), self.protocol, here, earlier_folders(here, prev_dir))
        composition = relaxed.structure.composition.element_composition
        wanted = [Reference.of_phase(phase) for phase in phases_within(composition.get_el_amt_dict())]
        references = relax_references([*wanted, Reference.of_host(self.host)], relaxing)
        if not references.finished:
            return Response(replace=self.make(relaxed, prev_dir=str(here)))
        return thermodynamics(relaxed, self.host, references).model_copy(
            update={"engine": engine_of(relaxing.engine).stamp(), "protocol": self.protocol}
        )


def thermodynamics(relaxed: RelaxDoc, host: HostSpec, references: References) -> ThermodynamicsDoc:
    """Return the document of a relaxed crystal beside relaxed phases, the host among them."""
    composition = relaxed.structure.composition.element_composition
    atoms, phases = composition.get_el_amt_dict(), list(references.phases.values())
    decomposition = lowest_combination(atoms, [_compound(phase) for phase in phases])
    dopants = dopants_of(atoms, host)
    doping = lowest_combination(atoms, [_compound(phase) for phase in phases if _reacts(phase, dopants, host)])
    number = sum(dopants.values())
    return ThermodynamicsDoc(
        formula=composition.formula,
        energy_per_atom_ev=relaxed.energy_per_atom_ev,
        decomposition_ev_per_atom=_per(len(relaxed.structure), relaxed, decomposition),
        decomposition=_reaction(relaxed, decomposition),
        no_decomposition_because=None if decomposition else _why_none(atoms, phases),
        doping_energy_ev=_per(number, relaxed, doping) if dopants else None,
        doping=_reaction(relaxed, doping) if dopants else None,
        no_doping_because=None if dopants and doping else _why_no_doping(dopants),
        phases=[
            ComparedPhaseDoc(
                key=key, name=phase.name, knowledge=phase.knowledge, energy_per_atom_ev=phase.energy_per_atom_ev
            )
            for key, phase in references.phases.items()
        ],
        engine=phases[0].engine,
        protocol=phases[0].protocol,
        corrections=references.corrections,
    )


def dopants_of(atoms: Mapping[str, float], host: HostSpec) -> dict[str, float]:
    """Return how many atoms of each doping cation a cell holds; where there is none, of each doping anion."""
    own = host.read().structure.composition.element_composition.get_el_amt_dict()
    new = {symbol: number for symbol, number in atoms.items() if symbol not in own}
    return {symbol: number for symbol, number in new.items() if not is_halogen(symbol)} or new


def _reacts(phase: PhaseDoc, dopants: Mapping[str, float], host: HostSpec) -> bool:
    """Return whether a phase is the host, or a halide of the mobile ion or of a dopant alone."""
    if phase.knowledge == "host":
        return True
    metals = {symbol for symbol in Composition(phase.formula).get_el_amt_dict() if not is_halogen(symbol)}
    mobile = Species.from_str(host.read().mobile).symbol
    return len(metals) == 1 and metals <= {mobile, *dopants}


def _compound(phase: PhaseDoc) -> Compound:
    composition = Composition(phase.formula)
    return Compound(phase.name, composition.get_el_amt_dict(), phase.energy_per_atom_ev * composition.num_atoms)


def _per(number: float, relaxed: RelaxDoc, combination: Combination | None) -> float | None:
    return None if combination is None else (relaxed.energy_ev - combination.energy_ev) / number


def _reaction(relaxed: RelaxDoc, combination: Combination | None) -> ReactionDoc | None:
    if combination is None:
        return None
    return ReactionDoc(amounts=combination.amounts, energy_ev=relaxed.energy_ev - combination.energy_ev)


def _why_none(atoms: Mapping[str, float], phases: Sequence[PhaseDoc]) -> str:
    packaged = {symbol for phase in phases for symbol in Composition(phase.formula).get_el_amt_dict()}
    unknown = sorted(set(atoms) - packaged)
    if unknown:
        return f"no packaged phase holds {unknown[0]}"
    return f"no combination of {', '.join(sorted(phase.name for phase in phases))} has its composition"


def _why_no_doping(dopants: Mapping[str, float]) -> str:
    if not dopants:
        return "nothing is doped"
    return f"no halide of {' and '.join(sorted(dopants))} in its oxidation state is packaged, or too few"
