"""Oxidation states for crystals that come without them."""

from __future__ import annotations

import math

from pymatgen.core import Composition, Element, Structure

from lzc_flows.errors import InputError

MOST_STEPS = 1_500_000
"""Steps of a guess that are allowed: some seconds."""


def with_charges(structure: Structure, given: list[str], where: str) -> Structure:
    """Return the structure with oxidation states on every ion.

    States in the file are kept, `given` ones (``["Zr=4"]``) come first; where neither says anything, pymatgen's
    guess from the composition is used.

    Raises
    ------
    InputError
        An entry of `given` does not parse or names an element that is not there, or no neutral guess with one
        state an element exists, or too many come into question.
    """
    stated = dict(_parse(entry, structure) for entry in given)
    charged = structure.copy()
    if stated:
        present = {element.symbol for element in charged.composition.element_composition}
        missing = sorted(present - set(stated))
        if missing:
            raise InputError(f"{where}: --charge names some elements but not {missing[0]}")
        charged.remove_oxidation_states()
        charged.add_oxidation_state_by_element(stated)
        return charged
    if all(getattr(species, "oxi_state", None) for site in charged for species in site.species):
        return charged
    charged.remove_oxidation_states()
    states = _guess(charged.composition, where)
    if not states:
        raise InputError(f"{where}: no oxidation states in the file and no neutral guess: state them with --charge")
    charged.add_oxidation_state_by_element(states)
    return charged


def _guess(composition: Composition, where: str) -> dict[str, float]:
    """Return pymatgen's likeliest neutral states, empty where an element has none, or several at once."""
    if not all(amount.is_integer() for amount in composition.values()):  # partial occupancies
        return {}
    reduced = composition.reduced_composition
    if _steps_of_guess(reduced) > MOST_STEPS:
        raise InputError(f"{where}: too many oxidation states come into question: state them with --charge")
    guesses = reduced.oxi_state_guesses()
    states = dict(guesses[0]) if guesses else {}
    # an element in several states gets their mean, such as 2.67 in Fe3O4: no ion has it
    return states if all(state and float(state).is_integer() for state in states.values()) else {}


def _steps_of_guess(composition: Composition) -> int:
    """Return how many steps pymatgen takes: it goes through all combinations of states, of atoms and of elements."""
    within, between = 0, 1
    for symbol, amount in composition.get_el_amt_dict().items():
        atoms, element = int(amount), Element(symbol)
        states = element.icsd_oxidation_states or element.common_oxidation_states or (0,)
        combinations = math.comb(atoms + len(states) - 1, len(states) - 1)
        within += combinations * atoms
        between *= min(combinations, atoms * (max(states) - min(states)) + 1)
    return within + between


def _parse(entry: str, structure: Structure) -> tuple[str, float]:
    element, _, text = entry.partition("=")
    present = {el.symbol for el in structure.composition.element_composition}
    if element not in present:
        raise InputError(f"charge {entry!r}: ELEMENT=CHARGE is allowed for {', '.join(sorted(present))}")
    try:
        charge = float(text)
    except ValueError:
        charge = math.nan
    if not math.isfinite(charge):
        raise InputError(f"charge {entry!r}: ELEMENT=CHARGE is allowed, such as Zr=4")
    return element, charge
