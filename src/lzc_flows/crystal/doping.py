"""Dopants, combinations, and the grid of them over a host.

A combination puts `count` ions of one cation species on the sites of one or several Wyckoff labels, and
likewise one anion species, in one supercell. The charge that this leaves is compensated by mobile ions:
extra ones on vacant octahedra, or vacancies among the existing ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import comb, prod
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pymatgen.core import Composition

from lzc_flows.crystal.host import Host
from lzc_flows.crystal.ions import charge_of, element_of, parse_ion
from lzc_flows.documents.model import FrozenModel
from lzc_flows.errors import InputError

Supercell = tuple[int, int, int]

Compensation = Literal["mobile", "background"]
"""What balances the charge of the dopants: mobile ions (or vacancies), or a uniform background in a charged cell."""

MOST_COMBINATIONS = 200_000
"""Of a grid. Listing so many takes 10 s and 0.6 GB."""


class Substitution(FrozenModel):
    """`count` ions of one species on the sites of some labels, such as one Ti3+ on 1a."""

    ion: str
    labels: tuple[str, ...]
    count: int = Field(ge=1)

    @property
    def element(self) -> str:
        """Symbol of the ion's element."""
        return element_of(self.ion)

    @property
    def site(self) -> str:
        """Labels joined by +, as a campaign file writes them."""
        return "+".join(self.labels)

    @property
    def slug(self) -> str:
        """File-name-safe words, such as ``Ti3-1a-x1``."""
        charge = abs(charge_of(self.ion))
        return f"{self.element}{charge}-{self.site.replace(chr(39), 'p')}-x{self.count}"


class Combination(FrozenModel):
    """One point of the grid; neither cation nor anion is the undoped host."""

    supercell: Supercell
    cation: Substitution | None = None
    anion: Substitution | None = None
    compensation: Compensation = "mobile"

    @property
    def substitutions(self) -> tuple[Substitution, ...]:
        """The substitutions that are there, cation first."""
        return tuple(part for part in (self.cation, self.anion) if part is not None)

    @property
    def slug(self) -> str:
        """Readable, file-name-safe identifier, such as ``Ti3-1a-x1_F1-6i-x3_2x2x1``."""
        parts = [part.slug for part in self.substitutions] or ["undoped"]
        charged = ["charged"] if self.compensation == "background" else []
        return "_".join([*parts, "x".join(map(str, self.supercell)), *charged])

    @property
    def column(self) -> str:
        """The grid axes other than the cation, as one heatmap row or column label."""
        if self.cation is None and self.anion is None:
            return "undoped"
        parts = []
        if self.cation is not None:
            parts.append(f"{self.cation.site} ×{self.cation.count}")
        if self.anion is not None:
            parts.append(f"{self.anion.element} {self.anion.site} ×{self.anion.count}")
        return " · ".join(parts)


@dataclass(frozen=True)
class DopedCell:
    """What a combination makes of a host: composition, compensation, number of arrangements.

    Attributes
    ----------
    ion_counts
        Number of each ion in it, the host's first; one that the dopants or vacancies leave none of is not there.
    extra_mobile
        Mobile ions to add on vacant sites; negative for vacancies to make.
    arrangements
        Number of ways to place all ions, as a product of binomials over sublattices; symmetry not used.
    """

    combination: Combination
    composition: Composition
    ion_counts: dict[str, int]
    extra_mobile: int
    arrangements: int

    @property
    def ions(self) -> tuple[str, ...]:
        """The ions that are in it."""
        return tuple(self.ion_counts)

    @property
    def formula(self) -> str:
        """Formula of the supercell, such as ``Li25Zr11Ti1Cl69F3``."""
        return self.composition.formula.replace(" ", "")


@dataclass(frozen=True)
class HostFrame:
    """Counts of a host's supercell, so that a grid of thousands need not touch a structure."""

    host: Host
    supercell: Supercell

    @cached_property
    def size(self) -> int:
        """Number of unit cells."""
        a, b, c = self.supercell
        return a * b * c

    @cached_property
    def ion_counts(self) -> dict[str, int]:
        """Number of each ion in the undoped supercell.

        Raises
        ------
        InputError
            The host is partially occupied.
        """
        if not self.host.is_ordered:
            raise InputError(f"host {self.host.name!r}: partially occupied; an ordered host such as 'lzc' is allowed")
        counts: dict[str, int] = {}
        for site in self.host.structure:
            ion = str(site.specie)
            counts[ion] = counts.get(ion, 0) + self.size
        return counts

    def sites_at(self, labels: tuple[str, ...]) -> int:
        """Return the number of occupied sites with these labels in the supercell."""
        return self.size * sum(self.host.site_counts[label] for label in labels)


def doped_cell(frame: HostFrame, combination: Combination) -> DopedCell:
    """Return composition, compensation and arrangement count of a combination.

    Raises
    ------
    InputError
        A partially occupied host, a label that the host lacks, more ions than sites, or a charge that mobile ions
        cannot compensate.
    """
    mobile = frame.host.mobile
    counts = dict(frame.ion_counts)
    mobile_left = counts[mobile]
    excess_charge = 0
    arrangements = 1
    for part in combination.substitutions:
        replaced = _check_substitution(frame, part)
        counts[replaced] -= part.count
        counts[part.ion] = counts.get(part.ion, 0) + part.count
        mobile_left -= part.count if replaced == mobile else 0
        excess_charge += part.count * (charge_of(part.ion) - charge_of(replaced))
        arrangements *= comb(frame.sites_at(part.labels), part.count)
    extra, ways = 0, 1
    if combination.compensation == "mobile":
        extra, ways = _compensate(frame, combination, excess_charge, mobile_left)
    counts[mobile] += extra
    elements: Counter[str] = Counter()
    for ion, number in counts.items():
        elements[element_of(ion)] += number
    present = {ion: number for ion, number in counts.items() if number}
    return DopedCell(combination, Composition(elements), present, extra, arrangements * ways)


def _check_substitution(frame: HostFrame, part: Substitution) -> str:
    """Return the host ion that `part` replaces."""
    host = frame.host
    for label in part.labels:
        if label not in host.site_counts:
            allowed = ", ".join(host.site_counts)
            raise InputError(f"site {label!r} for {part.ion}: host {host.name!r} has {allowed}")
    if len(set(part.labels)) < len(part.labels):
        raise InputError(f"sites {part.site!r} for {part.ion}: each label once is allowed")
    replaced = {str(species) for label in part.labels for species in host.species_by_label[label]}
    if len(replaced) > 1:
        raise InputError(
            f"sites {part.site!r} for {part.ion}: they hold different ions ({', '.join(sorted(replaced))})"
        )
    (ion,) = replaced
    if (charge_of(ion) > 0) != (charge_of(part.ion) > 0):
        raise InputError(f"{part.ion} on {part.site!r}: the site holds {ion}; an ion of the same sign is allowed")
    if ion == part.ion:
        raise InputError(f"{part.ion} on {part.site!r}: the site holds {ion} already; another ion is allowed")
    sites = frame.sites_at(part.labels)
    if part.count > sites:
        cell = "×".join(map(str, frame.supercell))
        raise InputError(
            f"{part.count} {part.ion} on {part.site!r}: the {cell} supercell has {sites} such sites (occupancy above 1)"
        )
    return ion


def _compensate(frame: HostFrame, combination: Combination, excess_charge: int, present: int) -> tuple[int, int]:
    """Return the extra mobile ions (negative: vacancies) and the number of ways to place them.

    `present` is the number of the host's mobile ions that no dopant has replaced.
    """
    host = frame.host
    extra, rest = divmod(-excess_charge, charge_of(host.mobile))
    vacant = frame.size * len(host.vacant)
    if rest or extra > vacant or -extra > present:
        raise InputError(
            f"{combination.slug}: a charge of {excess_charge:+d} cannot be compensated by {host.mobile}: "
            f"the supercell has {vacant} vacant sites and {present} {host.mobile}"
        )
    return extra, comb(vacant, extra) if extra >= 0 else comb(present, -extra)


class GridSpec(FrozenModel):
    """The ``grid`` section of a campaign file."""

    supercell: Supercell = Field(description="Repeats of the host's unit cell along a, b and c.")
    cations: tuple[str, ...] = Field(default=(), description="Cations with their charges, such as Ti3+.")
    cation_sites: tuple[str, ...] = Field(default=("1a", "2d"), description="Labels; 1a+2d means both together.")
    cation_counts: tuple[int, ...] = Field(default=(1,), description="Cations in a supercell.")
    anions: tuple[str, ...] = Field(default=(), description="Anions with their charges, such as F-.")
    anion_sites: tuple[str, ...] = Field(default=("6i",), description="Labels for the anions.")
    anion_counts: tuple[int, ...] = Field(default=(1,), description="Anions in a supercell.")
    compensation: Compensation = Field(
        default="mobile",
        description="What balances the dopants' charge: mobile ions or vacancies, or a background in a charged cell.",
    )
    undoped: bool = Field(default=True, description="Whether the undoped host is run as the reference.")

    @field_validator("cations", "anions")
    @classmethod
    def _known_ions(cls, ions: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_ion(ion) for ion in ions)

    @field_validator("cations", "anions")
    @classmethod
    def _right_sign(cls, ions: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind, sign = ("cation", 1) if info.field_name == "cations" else ("anion", -1)
        for ion in ions:
            if charge_of(ion) * sign < 0:
                raise ValueError(f"ion {ion!r}: {kind}s are allowed")
        return ions

    @field_validator("cation_counts", "anion_counts")
    @classmethod
    def _not_negative(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        if any(count < 0 for count in counts):
            raise ValueError("counts of 0 and above are allowed")
        return counts

    @field_validator("supercell")
    @classmethod
    def _positive(cls, supercell: Supercell) -> Supercell:
        if min(supercell) < 1:
            raise ValueError("three positive integers are allowed, such as [2, 2, 1]")
        return supercell

    @model_validator(mode="after")
    def _not_too_many(self) -> GridSpec:
        axes = (self.cations, self.cation_sites, self.cation_counts), (self.anions, self.anion_sites, self.anion_counts)
        number = prod(prod(len(set(part)) for part in axis) for axis in axes if axis[0])
        if number > MOST_COMBINATIONS:
            raise ValueError(f"{number:,} combinations; at most {MOST_COMBINATIONS:,} are allowed")
        return self

    def combinations(self) -> Iterator[Combination]:
        """Yield every combination once, the undoped reference first, cations varying slowest."""
        seen: set[Combination] = set()
        if self.undoped:
            reference = Combination(supercell=self.supercell)
            seen.add(reference)
            yield reference
        cations = _axis(self.cations, self.cation_sites, self.cation_counts)
        anions = _axis(self.anions, self.anion_sites, self.anion_counts)
        for cation, anion in product(cations, anions):
            combination = Combination(
                supercell=self.supercell, cation=cation, anion=anion, compensation=self.compensation
            )
            if combination not in seen and combination.substitutions:
                seen.add(combination)
                yield combination


def _axis(ions: tuple[str, ...], sites: tuple[str, ...], counts: tuple[int, ...]) -> list[Substitution | None]:
    """Return the points of one axis, 2d+1a as 1a+2d; a count of 0 is no substitution."""
    if not ions:
        return [None]
    axis = [
        Substitution(ion=ion, labels=tuple(sorted(site.split("+"))), count=count) if count else None
        for ion, site, count in product(dict.fromkeys(ions), dict.fromkeys(sites), dict.fromkeys(counts))
    ]
    return list(dict.fromkeys(axis))


def expand_grid(host: Host, grid: GridSpec) -> list[DopedCell]:
    """Return every combination of the grid on the host, checked, before anything runs.

    Raises
    ------
    InputError
        The host is partially occupied, or a combination is impossible on it.
    """
    frame = HostFrame(host, grid.supercell)
    return [doped_cell(frame, combination) for combination in grid.combinations()]
