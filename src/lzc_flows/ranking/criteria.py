"""What candidates are ranked by: one row per criterion, added to by each stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher"]

Tier = Literal["static", "dynamics", "hops"]
TIERS: tuple[Tier, ...] = ("static", "dynamics", "hops")
"""How deeply a candidate was looked at, the shallowest first: ions at rest, ions that move by themselves, every hop."""

TIER_OF_STAGE: dict[str, Tier] = {
    "order": "static",
    "relax": "static",
    "bvse": "static",
    "stability": "static",
    "aimd": "dynamics",
    "arrhenius": "dynamics",
    "cineb": "hops",
}
"""The tier that a stage's results belong to."""


@dataclass(frozen=True)
class Spread:
    """One standard deviation for all values of a criterion, which are taken to be normally distributed.

    Attributes
    ----------
    std
        In the criterion's unit.
    reason
        Where it is from.
    """

    std: float
    reason: str


@dataclass(frozen=True)
class Interval:
    """Columns with the ends of each value's own 68 % interval; the values are taken to be lognormally distributed.

    Attributes
    ----------
    low, high
        Columns of the candidates' table, in the criterion's unit.
    reason
        Where they are from.
    """

    low: str
    high: str
    reason: str


@dataclass(frozen=True)
class StandardError:
    """A column with each value's own standard deviation; the values are taken to be normally distributed.

    Attributes
    ----------
    column
        Column of the candidates' table, in the criterion's unit.
    reason
        Where they are from.
    """

    column: str
    reason: str


Uncertainty = Spread | Interval | StandardError

UNKNOWN = Spread(0.0, "not known: values are taken as they are")


@dataclass(frozen=True)
class Criterion:
    """A scalar of a candidate.

    Attributes
    ----------
    name
        Column of the candidates' table.
    label
        The words of figures and reports.
    unit
        Unit of the values.
    direction
        Which values are better.
    stage
        The stage whose result it is.
    uncertainty
        How far a value may be off, relative to those of the other candidates.
    errs_with
        A word for what makes its error: criteria of a candidate with the same word are too high or too low together,
        others independently. None: the criterion alone.
    """

    name: str
    label: str
    unit: str
    direction: Direction
    stage: str
    uncertainty: Uncertainty = UNKNOWN
    errs_with: str | None = None

    @property
    def tier(self) -> Tier:
        """How deeply a candidate must have been looked at to have it."""
        return TIER_OF_STAGE[self.stage]


COST = Criterion(
    "cost_usd_per_kg",
    "raw-material cost",
    "$/kg",
    "lower",
    "order",
    Spread(0.0, "follows from the formula and a list of prices; prices themselves change, by up to a factor of two"),
)

_LATTICES = (
    "standard deviation of its differences between lattices of CHGNet and of NEP89, 29 candidates: docs/ranking.md"
)
_ALONG, _ACROSS = Spread(0.07, _LATTICES), Spread(0.035, _LATTICES)
_SADDLES = Spread(
    0.09,
    "what is left between 26 barriers of the host by NEP89 and by CHGNet, a common factor and shift taken off: "
    "docs/ranking.md; convergence adds less than 0.01",
)
_TIME_AVERAGE = Interval(
    "sigma_low_mS_cm", "sigma_high_mS_cm", "68 % interval of one trajectory's diffusivity: docs/diffusion.md"
)
_LINE = Interval("sigma_300k_low_mS_cm", "sigma_300k_high_mS_cm", "68 % interval of the line: docs/diffusion.md")
_SLOPE = StandardError("ea_error_ev", "standard error of the line's slope: docs/diffusion.md")

CRITERIA: dict[str, Criterion] = {
    criterion.name: criterion
    for criterion in (
        COST,
        Criterion("barrier_1d", "1D BVSE barrier", "eV", "lower", "bvse", _ALONG, "lattice along c"),
        Criterion("barrier_2d", "2D BVSE barrier", "eV", "lower", "bvse", _ACROSS, "lattice in the plane"),
        Criterion("barrier_3d", "3D BVSE barrier", "eV", "lower", "bvse", _ACROSS, "lattice in the plane"),
        Criterion("barrier_a", "BVSE barrier along a", "eV", "lower", "bvse", _ACROSS, "lattice in the plane"),
        Criterion("barrier_b", "BVSE barrier along b", "eV", "lower", "bvse", _ACROSS, "lattice in the plane"),
        Criterion("barrier_c", "BVSE barrier along c", "eV", "lower", "bvse", _ALONG, "lattice along c"),
        Criterion(
            "barrier_ab", "BVSE barrier within the a–b plane", "eV", "lower", "bvse", _ACROSS, "lattice in the plane"
        ),
        Criterion("decomposition_ev_per_atom", "energy above the reference phases", "eV/atom", "lower", "stability"),
        Criterion("doping_energy_ev", "energy of the doping reaction", "eV for a doping ion", "lower", "stability"),
        Criterion(
            "scarcest_abundance_mg_per_kg", "crustal abundance of the scarcest cation", "mg/kg", "higher", "order"
        ),
        Criterion("sigma_mS_cm", "Li conductivity from molecular dynamics", "mS/cm", "higher", "aimd", _TIME_AVERAGE),
        Criterion(
            "sigma_300k_mS_cm", "Li conductivity at 300 K by a line of Arrhenius", "mS/cm", "higher", "arrhenius", _LINE
        ),
        Criterion("ea_ev", "activation energy of Li", "eV", "lower", "arrhenius", _SLOPE),
        Criterion("neb_barrier_1d", "1D hop barrier", "eV", "lower", "cineb", _SADDLES, "hops along c"),
        Criterion("neb_barrier_2d", "2D hop barrier", "eV", "lower", "cineb", _SADDLES, "hops in the plane"),
        Criterion("neb_barrier_3d", "3D hop barrier", "eV", "lower", "cineb", _SADDLES, "hops in the plane"),
        Criterion("neb_barrier_a", "hop barrier along a", "eV", "lower", "cineb", _SADDLES, "hops in the plane"),
        Criterion("neb_barrier_b", "hop barrier along b", "eV", "lower", "cineb", _SADDLES, "hops in the plane"),
        Criterion("neb_barrier_c", "hop barrier along c", "eV", "lower", "cineb", _SADDLES, "hops along c"),
        Criterion(
            "neb_barrier_ab", "hop barrier within the a–b plane", "eV", "lower", "cineb", _SADDLES, "hops in the plane"
        ),
    )
}
"""Every criterion by name. A later stage adds its rows here and nothing else changes."""


def _columns(uncertainty: Uncertainty) -> tuple[str, ...]:
    if isinstance(uncertainty, Interval):
        return uncertainty.low, uncertainty.high
    return (uncertainty.column,) if isinstance(uncertainty, StandardError) else ()


UNCERTAINTY_COLUMNS = tuple(column for criterion in CRITERIA.values() for column in _columns(criterion.uncertainty))
"""Columns that the uncertainties of some criteria are read from."""
