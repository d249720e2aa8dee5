"""How a campaign names its host: a built-in one, or a CIF with a label map.

A specification is self-contained: the CIF's text travels in it, so that a job on another machine, and a
candidate's key, depend on no file.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pymatgen.core import PeriodicSite, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from lzc_flows.crystal.host import BUILT_IN, WYCKOFF, Host, host_by_name
from lzc_flows.errors import InputError


class HostSpec(BaseModel):
    """The ``host`` section of a campaign file; the name alone for a built-in host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of a built-in host, or of the user's own.")
    cif: str | None = Field(default=None, description="Text of a CIF (in a campaign file: its path).")
    labels: dict[str, str] = Field(
        default_factory=dict, description="From _atom_site_label to Wyckoff label."
    )
    oxidation_states: dict[str, int] = Field(default_factory=dict, description="From element to charge in e.")
    vacant: dict[str, tuple[float, float, float]] = Field(
        default_factory=dict,
        description="From Wyckoff label to one site of a vacant orbit, fractional; symmetry makes the others.",
    )
    mobile: str = Field(default="Li+", description="The mobile ion.")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> HostSpec:
        if self.cif is None and self.name not in BUILT_IN:
            allowed = ", ".join(BUILT_IN)
            raise InputError(f"host {self.name!r}: allowed are {allowed}, or a CIF with a label map")
        return self

    def with_cif_text(self, folder: Path) -> HostSpec:
        """Return the specification with the CIF's path, relative to `folder`, replaced by its text."""
        if self.cif is None or "\n" in self.cif:
            return self
        path = folder / self.cif
        if not path.is_file():
            raise InputError(f"host {self.name!r}: no such CIF: {self.cif}")
        return self.model_copy(update={"cif": path.read_text()})

    def read(self) -> Host:
        """Return the host.

        Raises
        ------
        InputError
            The CIF is not readable, an atom has no label or charge, or an orbit's size differs from the number
            in its label.
        """
        return host_by_name(self.name) if self.cif is None else _read(self.model_dump_json())

    def fingerprint(self) -> str:
        """Return a short checksum of the host's sites, ions and lattice."""
        host = self.read()
        parts = [np.round(host.structure.lattice.matrix, 6).tolist()]
        for site in (*host.structure, *host.vacant):
            parts.append(
                [site.species_string, site.properties[WYCKOFF], np.round(site.frac_coords, 6).tolist()]
            )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@cache
def _read(serialised: str) -> Host:
    spec = HostSpec.model_validate_json(serialised)
    try:
        structure = Structure.from_str(spec.cif or "", fmt="cif")
    except Exception as error:
        raise InputError(
            f"host {spec.name!r}: its CIF is not readable ({str(error).splitlines()[0]})"
        ) from None
    atoms = [str(label) for label in structure.labels]
    unlabelled = sorted(set(atoms) - set(spec.labels))
    if unlabelled:
        raise InputError(f"host {spec.name!r}: CIF atom {unlabelled[0]!r} has no label in the label map")
    uncharged = sorted({element.symbol for element in structure.elements} - set(spec.oxidation_states))
    if uncharged:
        raise InputError(f"host {spec.name!r}: element {uncharged[0]} has no oxidation state")
    structure.remove_oxidation_states()
    structure.add_oxidation_state_by_element(dict(spec.oxidation_states))
    structure.add_site_property(WYCKOFF, [spec.labels[atom] for atom in atoms])
    vacant = [
        PeriodicSite(spec.mobile, xyz, structure.lattice, properties={WYCKOFF: label})
        for label, point in spec.vacant.items()
        for xyz in _orbit(structure, point, label)
    ]
    return Host(spec.name, structure, tuple(vacant), spec.mobile)


def _orbit(structure: Structure, point: tuple[float, float, float], label: str) -> list[np.ndarray]:
    """Return the symmetry copies of a fractional coordinate under the space group of `structure`."""
    copies: list[np.ndarray] = []
    for operation in SpacegroupAnalyzer(structure, symprec=1e-2).get_symmetry_operations():
        image = np.mod(operation.operate(point), 1.0)
        apart = [np.abs((image - other + 0.5) % 1.0 - 0.5).max() for other in copies]
        if not apart or min(apart) > 1e-3:
            copies.append(image)
    multiplicity = int("".join(character for character in label if character.isdigit()) or 0)
    if multiplicity != len(copies):
        raise InputError(f"vacant site {label!r} at {list(point)}: its orbit has {len(copies)} sites")
    return copies
