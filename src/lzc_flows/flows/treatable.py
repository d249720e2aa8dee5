"""Whether the engines of a campaign can treat its ions, asked before anything runs."""

from __future__ import annotations

from lzc_flows.documents.engine import EngineSpec
from lzc_flows.engines.base import Ions
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign


def require_engines(campaign: Campaign) -> None:
    """Refuse a campaign with an ion that one of its engines cannot treat.

    Raises
    ------
    InputError
        One line with the stage, the combination and what the engine says: no such program, an element that it does not
        know, no POTCAR or basis, an odd number of electrons where spins are forbidden, tags against the protocol.
    """
    asked: set[tuple[str, tuple[str, ...]]] = set()
    for stage in campaign.spec.stages.names:
        spec = getattr(getattr(campaign.spec.stages, stage), "engine", None)
        if not isinstance(spec, EngineSpec):
            continue
        for cell in campaign.cells:
            # where spins are forbidden, the number of ions matters as well
            counts = (
                cell.ion_counts if spec.dft is not None and spec.dft.spin == "none" else dict.fromkeys(cell.ions, 1)
            )
            words = (spec.model_dump_json(), tuple(sorted(f"{number} {ion}" for ion, number in counts.items())))
            if words in asked:
                continue
            asked.add(words)
            try:
                engine_of(spec).require(Ions.of_counts(cell.ion_counts))
            except InputError as error:
                where = f"campaign {campaign.spec.name!r}: stage {stage}, {cell.combination.slug}"
                raise InputError(f"{where}: {error}") from None
