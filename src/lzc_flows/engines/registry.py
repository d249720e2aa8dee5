"""The engines by what campaigns say of them."""

from __future__ import annotations

from lzc_flows.documents.engine import EngineSpec
from lzc_flows.engines.base import Engine
from lzc_flows.engines.cp2k import Cp2kEngine
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.vasp import VaspEngine


def engine_of(spec: EngineSpec) -> Engine:
    """Return the engine that a campaign names; one with electrons must say how it treats them."""
    if spec.dft is None:
        return MLIPS[spec.name]
    return VaspEngine(spec.dft) if spec.name == "vasp" else Cp2kEngine(spec.dft)
