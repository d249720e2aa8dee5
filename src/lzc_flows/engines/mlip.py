"""Machine-learned interatomic potentials, through atomate2's force-field Makers."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.dynamics.forces import ForceField
from lzc_flows.engines.base import Engine, Ions
from lzc_flows.engines.forcefield import ChgnetForceField, NepForceField, nep_elements
from lzc_flows.engines.models import model
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker, ForceFieldStaticMaker


MLIP_CHARGE_NOTE = "ignored: a machine-learned potential knows no charge, nor the background that would balance it"
"""What the engines here make of a charged cell."""


class MlipEngine(Engine, Protocol):
    """A machine-learned engine: it relaxes through atomate2's force-field Makers."""

    def relax_maker(self, protocol: RelaxProtocol) -> ForceFieldRelaxMaker:
        """Return the atomate2 Maker that relaxes a structure by this protocol."""
        ...

    def static_maker(self) -> ForceFieldStaticMaker:
        """Return the atomate2 Maker of single points."""
        ...


@dataclass(frozen=True)
class ChgnetEngine:
    """CHGNet 0.3.0, whose weights come inside its package: Deng et al., Nat. Mach. Intell. 5, 1031 (2023)."""

    name: str = "chgnet"
    charge_note: str = MLIP_CHARGE_NOTE

    def stamp(self) -> EngineStamp:
        """Return the version of the package, which pins the weights."""
        return EngineStamp(name=self.name, version=f"chgnet {_version_of('chgnet', 'chgnet', self.name)}")

    def relax_maker(self, protocol: RelaxProtocol) -> ForceFieldRelaxMaker:
        """Return atomate2's Maker with CHGNet on the CPU or, where there is one, the GPU."""
        return _relax_maker("CHGNet", {}, protocol)

    def require(self, ions: Ions) -> None:
        """Refuse nothing: CHGNet has a number for every element."""

    def force_field(self, ions: Ions) -> ForceField:
        """Return CHGNet's own prediction."""
        self.stamp()  # says what is not installed
        return ChgnetForceField(ions.species)

    def static_maker(self) -> ForceFieldStaticMaker:
        """Return atomate2's Maker of single points."""
        return _static_maker("CHGNet", {})


@dataclass(frozen=True)
class NepEngine:
    """NEP89 on one core through calorine; its model file is fetched by ``lzc models install nep89``."""

    name: str = "nep"
    charge_note: str = MLIP_CHARGE_NOTE

    def stamp(self) -> EngineStamp:
        """Return the version of calorine and the checksum of the model file."""
        package = _version_of("calorine", "nep", self.name)
        file = model("nep89")
        if not file.installed():
            raise InputError("engine 'nep': its model file is missing or damaged: run `lzc models install nep89`")
        return EngineStamp(name=self.name, version=f"calorine {package}, nep89 sha256 {file.sha256[:12]}")

    def relax_maker(self, protocol: RelaxProtocol) -> ForceFieldRelaxMaker:
        """Return atomate2's Maker with calorine's CPU calculator."""
        return _relax_maker("NEP", {"model_filename": str(model("nep89").path)}, protocol)

    def require(self, ions: Ions) -> None:
        """Refuse elements that the model does not have: its first line names those that it has."""
        self.stamp()
        unknown = sorted(set(ions.species) - nep_elements(model("nep89").path))
        if unknown:
            raise InputError(f"engine 'nep': its model does not know {unknown[0]}")

    def force_field(self, ions: Ions) -> ForceField:
        """Return calorine's binding of nep_cpu."""
        self.stamp()  # says what is not installed
        return NepForceField(model("nep89").path, ions.species)

    def static_maker(self) -> ForceFieldStaticMaker:
        """Return atomate2's Maker of single points."""
        return _static_maker("NEP", {"model_filename": str(model("nep89").path)})


MLIPS: dict[str, MlipEngine] = {engine.name: engine for engine in (ChgnetEngine(), NepEngine())}
"""The machine-learned engines by name."""


_RUN_KWARGS = {"final_atoms_object_file": None, "use_emmet_models": True}


def _version_of(package: str, extra: str, engine: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise InputError(f"engine {engine!r} is not installed: run `pip install 'lzc-flows[{extra}]'`") from None


def _relax_maker(force_field: str, calculator: dict[str, Any], protocol: RelaxProtocol) -> ForceFieldRelaxMaker:
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker  # takes 3 s, and most commands only want versions

    return ForceFieldRelaxMaker(
        force_field_name=force_field,
        calculator_kwargs=calculator,
        relax_cell=protocol.relax_cell,
        steps=protocol.max_steps,
        optimizer_kwargs={"optimizer": protocol.optimizer},
        relax_kwargs={"fmax": protocol.fmax_ev_per_angstrom, **_RUN_KWARGS},
    )


def _static_maker(force_field: str, calculator: dict[str, Any]) -> ForceFieldStaticMaker:
    from atomate2.forcefields.jobs import ForceFieldStaticMaker

    return ForceFieldStaticMaker(
        force_field_name=force_field, calculator_kwargs=calculator, relax_kwargs=dict(_RUN_KWARGS)
    )
