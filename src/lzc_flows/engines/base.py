"""The small protocol behind which energies and forces are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.dynamics.forces import ForceField

if TYPE_CHECKING:
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker, ForceFieldStaticMaker


class Engine(Protocol):
    """What computes energies and forces."""

    @property
    def name(self) -> str:
        """What campaigns call it."""
        ...

    @property
    def charge_note(self) -> str:
        """What it makes of a cell whose ions' charges do not sum to zero, in one line."""
        ...

    def stamp(self) -> EngineStamp:
        """Return name and version: all that changes the numbers.

        Raises
        ------
        InputError
            The engine is not installed; the line says how to install it.
        """
        ...

    def relax_maker(self, protocol: RelaxProtocol) -> ForceFieldRelaxMaker:
        """Return the atomate2 Maker that relaxes a structure by this protocol."""
        ...

    def static_maker(self) -> ForceFieldStaticMaker:
        """Return the atomate2 Maker of single points."""
        ...

    def force_field(self, species: Sequence[str]) -> ForceField:
        """Return forces on atoms of these elements, in this order, for molecular dynamics.

        Raises
        ------
        InputError
            The engine is not installed, or does not know an element.
        """
        ...
