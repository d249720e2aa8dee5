"""The structures at the two ends of a hop, made from one indexed cell, and the same ends after relaxation.

Atoms stand in one order: the framework in the order of the crystal, then the ions. Only the hopping ions differ between
the ends, and the final positions are unwrapped, so that final minus initial is the true displacement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.hops import Hop, State
from lzc_flows.hopping.sites import IonSites, element_of

_SAME_CELL_ANGSTROM = 1e-4


@dataclass(frozen=True, eq=False)
class Ends:
    """Both ends of a hop before relaxation.

    Attributes
    ----------
    initial, final
        Structures of one cell, with the same atoms in the same order.
    moved
        Indices of the hopping ions.

    Raises
    ------
    ValueError
        Other atoms than `moved` differ, or one of these does not move.
    """

    initial: Structure
    final: Structure
    moved: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.initial.lattice != self.final.lattice or self.initial.species != self.final.species:
            raise ValueError("the ends of a hop must have one cell and the same atoms in the same order")
        differ = np.flatnonzero((self.initial.frac_coords != self.final.frac_coords).any(axis=1))
        if differ.tolist() != sorted(self.moved):
            raise ValueError(f"atoms {differ.tolist()} differ between the ends of a hop of atoms {sorted(self.moved)}")


def state_structure(sites: IonSites, state: State) -> Structure:
    """Return the crystal with ions on the sites of a state: the framework first, then the ions in the sites' order."""
    return _structure(sites, sites.fractional[list(state)])


def ends(sites: IonSites, hop: Hop) -> Ends:
    """Return both ends of a hop, the ions in the order of the initial state's sites."""
    state = hop.initial(sites)
    start = sites.fractional[list(state)]
    stop = start.copy()
    moved = []
    for move in hop.moves:
        row = state.index(move.site)
        stop[row] = sites.fractional[move.to] + move.translation
        moved.append(len(sites.framework) + row)
    return Ends(_structure(sites, start), _structure(sites, stop), tuple(moved))


def charge_e(sites: IonSites, hop: Hop) -> float:
    """Return the charge of the hop's cell in e if the ions of a neutral crystal keep theirs.

    A DFT engine has to balance it by a background. The ion's charge is its oxidation state, the commonest of its
    element where the crystal has none.
    """
    ion = sites.structure[sites.atoms[0]].specie
    charge = getattr(ion, "oxi_state", None) or Element(sites.mobile).common_oxidation_states[0]
    return hop.extra_ions * float(charge)


def settled_state(sites: IonSites, relaxed: Structure) -> State:
    """Return the sites nearest to the ions of a relaxed state, sorted.

    Parameters
    ----------
    sites
        The sites of the crystal.
    relaxed
        A structure of `state_structure` after relaxation in its fixed cell, atoms in their order.

    Raises
    ------
    InputError
        Another cell or other atoms.
    CalculationError
        Two ions went to one site.
    """
    return tuple(sorted(_settled(sites, relaxed).tolist()))


def assembled(
    sites: IonSites, hop: Hop, relaxed_initial: Structure, relaxed_final: Structure
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions of two relaxed states in the one order of `ends`, Cartesian, in Å, shapes (n, 3).

    Atoms that do not hop lie at their nearest images; the hopping ions go the way of the hop.

    Parameters
    ----------
    sites
        The sites of the crystal.
    hop
        The hop between the states.
    relaxed_initial, relaxed_final
        The hop's states after relaxation in their fixed cell, atoms in the order of `state_structure`.

    Raises
    ------
    InputError
        Another cell or other atoms than the states have.
    CalculationError
        A state relaxed into another one, or two of its ions went to one site.
    """
    unrelaxed = ends(sites, hop)
    frame = len(sites.framework)
    initial, final = hop.initial(sites), hop.final(sites)
    start = _by_site(sites, relaxed_initial, initial, "initial")
    stop = _by_site(sites, relaxed_final, final, "final")
    goes = dict(zip(initial, initial, strict=True)) | {move.site: move.to for move in hop.moves}
    rows = [*range(frame), *(frame + final.index(goes[site]) for site in initial)]
    start = _near(start, unrelaxed.initial.frac_coords)
    hopping = list(unrelaxed.moved)
    target = start.copy()
    target[hopping] = unrelaxed.final.frac_coords[hopping]
    stop = _near(stop[rows], target)
    lattice = sites.structure.lattice
    return np.asarray(lattice.get_cartesian_coords(start)), np.asarray(lattice.get_cartesian_coords(stop))


def _structure(sites: IonSites, ions: NDArray[np.float64]) -> Structure:
    crystal, frame = sites.structure, list(sites.framework)
    ion = crystal[sites.atoms[0]].specie
    return Structure(
        crystal.lattice,
        [*(crystal[number].specie for number in frame), *[ion] * len(ions)],
        np.concatenate([crystal.frac_coords[frame], ions]),
    )


def _by_site(sites: IonSites, relaxed: Structure, state: State, which: str) -> NDArray[np.float64]:
    """Return the fractional coordinates of a relaxed state, its ions in the order of the sites they settled on."""
    settled = _settled(sites, relaxed)
    left, taken = set(state) - set(settled.tolist()), set(settled.tolist()) - set(state)
    if left or taken:
        raise CalculationError(
            f"the {which} state relaxed into another one: ions left {_named(sites, left)} for {_named(sites, taken)}"
        )
    frame = len(sites.framework)
    return relaxed.frac_coords[[*range(frame), *(frame + np.argsort(settled))]]


def _settled(sites: IonSites, relaxed: Structure) -> NDArray[np.int64]:
    """Return the nearest site of each ion in its order."""
    crystal, frame = sites.structure, list(sites.framework)
    lattice = crystal.lattice
    if not np.allclose(relaxed.lattice.matrix, lattice.matrix, rtol=0, atol=_SAME_CELL_ANGSTROM):
        raise InputError("relaxed state: the cell of the crystal is allowed, kept fixed")
    elements = [element_of(relaxed, number) for number in range(len(relaxed))]
    expected = [element_of(crystal, number) for number in frame]
    expected += [sites.mobile] * (len(relaxed) - len(frame))
    if elements != expected:
        raise InputError(f"relaxed state: the framework's {len(frame)} atoms in their order, then the ions are allowed")
    apart = relaxed.frac_coords[: len(frame)] - crystal.frac_coords[frame]
    drift = (apart - np.rint(apart)).mean(axis=0)
    nearest = lattice.get_all_distances(relaxed.frac_coords[len(frame) :] - drift, sites.fractional).argmin(axis=1)
    shared = np.flatnonzero(np.bincount(nearest, minlength=1) > 1)
    if len(shared):
        raise CalculationError(f"two ions of a relaxed state went to {_named(sites, set(shared.tolist()))}")
    return nearest


def _named(sites: IonSites, numbers: set[int]) -> str:
    names = [f"{number} ({sites.labels[number]})" for number in sorted(numbers)]
    return ("site " if len(names) == 1 else "sites ") + ", ".join(names)


def _near(fractional: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the images nearest to reference positions."""
    return fractional - np.rint(fractional - reference)
