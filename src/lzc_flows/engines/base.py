"""The small protocol behind which energies and forces are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.protocols import RelaxProtocol

if TYPE_CHECKING:
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker


class Engine(Protocol):
    """What computes energies and forces."""

    @property
    def name(self) -> str:
        """What campaigns call it."""
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
