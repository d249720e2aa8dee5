"""How a campaign names its host: a built-in one, or a CIF with a label map.

A specification is self-contained: the CIF's text travels in it, so that a job on another machine, and a
candidate's key, depend on no file.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator, model_validator
from pymatgen.core import PeriodicSite, Structure

from lzc_flows.crystal.cell import check_cell
from lzc_flows.crystal.host import BUILT_IN, WYCKOFF, Host, host_by_name, reason_of
from lzc_flows.crystal.ions import parse_ion
from lzc_flows.crystal.occupancy import ROUNDING_TOLERANCE
from lzc_flows.documents.model import FrozenModel
from lzc_flows.errors import InputError, InputWarning

OVERLAP_ANGSTROM = 0.5
"""A vacant site nearer than this to another site is that site."""

MOST_BYTES = 2_000_000
"""Of a CIF, which travels in every job: a crystal of thousands of atoms has less."""

WyckoffLabel = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}[A-Za-z]'{0,9}$")]
"""Of multiplicities there are up to 192."""

Charge = Annotated[int, Field(ge=-9, le=9)]


class HostSpec(FrozenModel):
    """The ``host`` section of a campaign file; the name alone for a built-in host."""

    name: str = Field(max_length=100, description="Name of a built-in host, or of the user's own.")
    cif: str | None = Field(default=None, description="Text of a CIF (in a campaign file: its path).")
    labels: dict[str, WyckoffLabel] = Field(default_factory=dict, description="From _atom_site_label to Wyckoff label.")
    oxidation_states: dict[str, Charge] = Field(default_factory=dict, description="From element to charge in e.")
    vacant: dict[WyckoffLabel, tuple[float, float, float]] = Field(
        default_factory=dict,
        description="From Wyckoff label to one site of a vacant orbit, fractional; symmetry makes the rest.",
    )
    mobile: str = Field(default="Li+", description="The mobile ion.")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("mobile")
    @classmethod
    def _known_ion(cls, mobile: str) -> str:
        return parse_ion(mobile)

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
        try:
            if not path.is_file():
                raise InputError(f"host {self.name!r}: no such CIF: {self.cif}")
            size = path.stat().st_size
            if size > MOST_BYTES:
                raise InputError(
                    f"host {self.name!r}: {self.cif} has {size:,} bytes; at most {MOST_BYTES:,} are allowed"
                )
            return self.model_copy(update={"cif": path.read_text(encoding="utf-8")})
        except UnicodeDecodeError:
            raise InputError(f"host {self.name!r}: {self.cif} is not a text file") from None
        except OSError as error:  # a name that no file can have
            raise InputError(f"host {self.name!r}: CIF {self.cif!r}: {error.strerror}") from None

    def read(self) -> Host:
        """Return the host.

        Raises
        ------
        InputError
            The CIF is not readable, an atom has no label or charge, the number of sites does not fit their
            label, a vacant site is taken, no mobile ion is there, or the charges do not sum to zero.
        """
        return host_by_name(self.name) if self.cif is None else _read(self.model_dump_json())

    def fingerprint(self) -> str:
        """Return a short checksum of the host's sites, ions, mobile ion and lattice."""
        host = self.read()
        # + 0.0 and % 1.0 after rounding: -0.0 is 0.0, and a coordinate just below 1 is 0
        parts = [host.mobile, (np.round(host.structure.lattice.matrix, 6) + 0.0).tolist()]
        for site in (*host.structure, *host.vacant):
            place = np.round(site.frac_coords % 1.0, 6) % 1.0
            parts.append([site.species_string, site.properties[WYCKOFF], place.tolist()])
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@cache
def _read(serialised: str) -> Host:
    spec = HostSpec.model_validate_json(serialised)
    structure, notes = _occupied(spec)
    for note in notes:
        warnings.warn(note, InputWarning, stacklevel=2)
    vacant: list[PeriodicSite] = []
    for label, point in spec.vacant.items():
        vacant += vacant_orbit(structure, vacant, (label, point, spec.mobile), f"host {spec.name!r}")
    return Host(spec.name, structure, tuple(vacant), spec.mobile, tuple(notes))


def vacant_orbit(
    structure: Structure,
    others: list[PeriodicSite],
    site: tuple[str, tuple[float, float, float], str],
    where: str,
) -> list[PeriodicSite]:
    """Return all sites of a vacant orbit as if the ion sat on them.

    Parameters
    ----------
    others
        Vacant sites of other orbits.
    site
        Wyckoff label, fractional coordinates of one site, and the ion.

    Raises
    ------
    InputError
        A site is taken, or the orbit has not as many sites as its label says.
    """
    label, point, ion = site
    orbit = _orbit(structure, point, label)
    taken = [site.frac_coords for site in (*structure, *others)]
    if structure.lattice.get_all_distances(orbit, taken).min() < OVERLAP_ANGSTROM:
        raise InputError(f"{where}: vacant site {label!r} at {list(point)} is taken")
    return [PeriodicSite(ion, xyz, structure.lattice, properties={WYCKOFF: label}) for xyz in orbit]


def check_apart(structure: Structure, where: str) -> None:
    """Refuse sites nearer than `OVERLAP_ANGSTROM` whose occupancies sum to more than 1.

    Raises
    ------
    InputError
        There are such sites.
    """
    occupancies = np.array([sum(site.species.values()) for site in structure])
    full = occupancies[:, None] + occupancies > 1 + ROUNDING_TOLERANCE
    close = np.argwhere(np.triu((structure.distance_matrix < OVERLAP_ANGSTROM) & full, 1))
    if len(close):
        one, other = (structure[int(index)] for index in close[0])
        raise InputError(
            f"{where}: sites {one.label} and {other.label} overlap, {one.distance(other):.2f} Å apart: "
            f"{OVERLAP_ANGSTROM} Å and above is allowed, or occupancies that sum to at most 1"
        )


def _occupied(spec: HostSpec) -> tuple[Structure, list[str]]:
    """Return the crystal of the CIF with labels and charges, checked, and what was changed in it."""
    from pymatgen.io.cif import CifFile  # slow, and the built-in hosts need none

    from lzc_flows.crystal.cif import read_cif

    where = f"host {spec.name!r}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen tells of every coordinate that it rounds to 1/3
            structure, notes = read_cif(CifFile.from_str(spec.cif or ""), where)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{where}: its CIF is not readable ({reason_of(error)})") from None
    check_cell(structure, where)
    atoms = [str(label) for label in structure.labels]
    unlabelled = sorted(set(atoms) - set(spec.labels))
    if unlabelled:
        raise InputError(f"{where}: CIF atom {unlabelled[0]!r} has no label in the label map")
    uncharged = sorted({element.symbol for element in structure.elements} - set(spec.oxidation_states))
    if uncharged:
        raise InputError(f"{where}: element {uncharged[0]} has no oxidation state")
    structure.remove_oxidation_states()
    structure.add_oxidation_state_by_element(dict(spec.oxidation_states))
    structure.add_site_property(WYCKOFF, [spec.labels[atom] for atom in atoms])
    for label, count in Host(spec.name, structure).site_counts.items():
        multiple = _multiplicity(label)
        if count % multiple:
            raise InputError(f"{where}: {count} sites are labelled {label!r}: a multiple of {multiple} is allowed")
    check_apart(structure, where)
    if spec.mobile not in {str(species) for species in structure.elements}:
        raise InputError(f"{where}: no mobile {spec.mobile} in it")
    # published occupancies are rounded, so only an ordered crystal can be held to neutrality
    if structure.is_ordered and structure.charge:
        raise InputError(f"{where}: its charges sum to {structure.charge:+g} e: 0 is allowed")
    return structure, notes


def _orbit(structure: Structure, point: tuple[float, float, float], label: str) -> list[np.ndarray]:
    """Return the symmetry copies of a fractional coordinate under the space group of `structure`."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer  # slow, as above

    copies: list[np.ndarray] = []
    for operation in SpacegroupAnalyzer(structure, symprec=1e-2).get_symmetry_operations():
        image = np.mod(operation.operate(point), 1.0)
        apart = [np.abs((image - other + 0.5) % 1.0 - 0.5).max() for other in copies]
        if not apart or min(apart) > 1e-3:
            copies.append(image)
    if len(copies) != _multiplicity(label):
        raise InputError(
            f"vacant site {label!r} at {list(point)}: its orbit has {len(copies)} sites: "
            f"{_multiplicity(label)} is allowed"
        )
    return copies


def _multiplicity(label: str) -> int:
    return int("".join(takewhile(str.isdigit, label)))
