"""Whether the mobile ion has softBV parameters with every ion of a campaign, asked before anything runs.

The bvse stage comes last: without this, a missing pair would be found after the relaxations.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from pymatgen.core import Species

from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.transport.bvse_parameters import (
    Interaction,
    covered_partners,
    has_parameters,
    interaction_of,
    parse_ion,
)
from lzc_flows.transport.conventions import CONVENTIONS

NAMED_COMBINATIONS = 3
"""A refusal names this many of the combinations that a pair stops."""


@dataclass(frozen=True)
class PairCoverage:
    """One partner of the mobile ion.

    Attributes
    ----------
    partner
        The ion, such as ``Cl-``.
    interaction
        ``morse`` (opposite charges) or ``coulomb`` (same sign).
    covered
        Whether all parameters of the pair are there.
    combinations
        Slugs of the combinations that hold the partner.
    available
        Of a pair that is not covered: what could stand in its place, see `covered_partners`.
    """

    partner: str
    interaction: Interaction
    covered: bool
    combinations: tuple[str, ...]
    available: tuple[str, ...] = ()


@dataclass(frozen=True)
class Coverage:
    """Every pair of a campaign's mobile ion, each once, in the order in which the grid brings them."""

    campaign: str
    mobile: str
    convention: str
    pairs: tuple[PairCoverage, ...]

    @property
    def missing(self) -> tuple[PairCoverage, ...]:
        """The pairs that are not covered."""
        return tuple(pair for pair in self.pairs if not pair.covered)


def pair_coverage(campaign: Campaign) -> Coverage:
    """Return the coverage of every ion that a combination of the campaign holds; no structure is built.

    Raises
    ------
    InputError
        The grid is not possible on the host, or a combination is left without the mobile ion.
    """
    protocol = campaign.spec.stages.bvse.protocol
    radii = CONVENTIONS[protocol.convention].radii
    mobile = parse_ion(protocol.mobile)
    combinations: dict[str, list[str]] = defaultdict(list)
    for cell in campaign.cells:
        slug = cell.combination.slug
        if protocol.mobile not in cell.ions:
            raise InputError(
                f"campaign {campaign.spec.name!r}: no {protocol.mobile}, the mobile ion of its bvse stage, in {slug}: "
                f"it holds {', '.join(cell.ions)}"
            )
        for ion in cell.ions:
            combinations[ion].append(slug)
    pairs = []
    for ion, slugs in combinations.items():
        partner = Species.from_str(ion)
        if partner.symbol == mobile.symbol:  # the field is that of one probe ion in the empty framework
            continue
        covered = has_parameters(mobile, partner, radii)
        available = () if covered else tuple(covered_partners(mobile, partner, radii))
        pairs.append(PairCoverage(ion, interaction_of(mobile, partner), covered, tuple(slugs), available))
    return Coverage(campaign.spec.name, protocol.mobile, protocol.convention, tuple(pairs))


def require_pairs(campaign: Campaign) -> None:
    """Refuse a campaign with a pair that lacks parameters.

    Raises
    ------
    InputError
        One line with every missing pair, the combinations that hold it and what is available; or what
        `pair_coverage` refuses.
    """
    refuse_missing(pair_coverage(campaign))


def refuse_missing(coverage: Coverage) -> None:
    """Raise the `InputError` of `require_pairs` for a coverage that is known already."""
    if not coverage.missing:
        return
    pairs = "; ".join(_described(pair) for pair in coverage.missing)
    raise InputError(
        f"campaign {coverage.campaign!r}: no softBV parameters in convention {coverage.convention} for "
        f"{coverage.mobile} with {pairs}"
    )


def _described(pair: PairCoverage) -> str:
    """Return a missing pair's words, such as ``Pr4+ (coulomb; in 2 combinations: ...; available: Pr3+)``."""
    slugs = pair.combinations
    count = f"{len(slugs)} combination{'s' if len(slugs) > 1 else ''}"
    named = ", ".join(slugs[:NAMED_COMBINATIONS]) + (", ..." if len(slugs) > NAMED_COMBINATIONS else "")
    available = ", ".join(pair.available) or "none"
    return f"{pair.partner} ({pair.interaction}; in {count}: {named}; available: {available})"
