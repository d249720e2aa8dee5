"""XDATCAR: the configurations of a run."""

from __future__ import annotations

from lzc_flows.rehearsal.poscar import Arrangement, table
from lzc_flows.rehearsal.step import IonicStep


def header(arrangement: Arrangement, step: IonicStep) -> str:
    """Return what stands before the first configuration, and, where the cell changes, before each."""
    lines = [arrangement.comment or arrangement.formula, "           1"]
    lines += ["".join(f"{x:13.6f}" for x in row) for row in step.cell]
    lines.append("".join(f"{symbol:>5}" for symbol in arrangement.symbols))
    lines.append("".join(f"{count:6d}" for count in arrangement.counts))
    return "\n".join(lines) + "\n"


def configuration(number: int, step: IonicStep) -> str:
    """Return a configuration."""
    return f"Direct configuration={number:6d}\n{table('%12.8f%12.8f%12.8f', step.inside)}\n"
