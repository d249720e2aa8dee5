"""OSZICAR and what VASP prints: a line for each electronic and each ionic step."""

from __future__ import annotations

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.step import IonicStep

VERSION = "6.4.2"
DATE = "20Jul23"
STAND_IN = "stand-in of lzc-flows, forces of a machine-learned potential, no electrons"
HEADER = f" vasp.{VERSION} {DATE} ({STAND_IN}) complex"

_COLUMNS = "       N       E                     dE             d eps       ncg     rms          rms(c)"


def greeting(inputs: Inputs) -> str:
    """Return what VASP prints before its first electronic step."""
    arrangement = inputs.arrangement
    types, ions = len(arrangement.symbols), sum(arrangement.counts)
    lines = [
        " running on    1 total cores",
        " distrk:  each k-point on    1 cores,    1 groups",
        " distr:  one band on    1 cores,    1 groups",
        HEADER,
        f" POSCAR found type information on POSCAR {''.join(f'{symbol:<2}' for symbol in arrangement.symbols)}",
        f" POSCAR found : {types:2d} types and {ions:7d} ions",
        f" {STAND_IN}",
        " LDA part: xc-table for Pade appr. of Perdew",
        " POSCAR, INCAR and KPOINTS ok, starting setup",
        " FFT: planning ... ",
        " WAVECAR not read",
        " entering main loop",
    ]
    return "\n".join(lines) + "\n"


def electronic_lines(step: IonicStep, algo: str) -> str:
    """Return the lines of the electronic steps."""
    name = "RMM" if algo[:1].upper() in {"F", "V"} else "DAV"
    rows = [_COLUMNS]
    pairs = zip(step.electronic.energies_ev.tolist(), step.electronic.changes_ev.tolist(), strict=True)
    for number, (energy, change) in enumerate(pairs, 1):
        rms = abs(change) ** 0.5
        row = f"{name}:{number:4d}{fortran(energy, 20, 12)}{fortran(change, 15)}{fortran(change, 15)}{512:8d}"
        rows.append(f"{row} {rms:9.3E}    {0.1 * rms:9.3E}")
    return "\n".join(rows) + "\n"


def ionic_line(step: IonicStep, electrons: Electrons) -> str:
    """Return the line of an ionic step."""
    energy = fortran(step.forces.energy_ev, 15, 8)
    mag = f"  mag={electrons.moment:11.4f}" if electrons.spins == 2 else ""
    if step.heat is None:
        return f"{step.number:4d} F={energy} E0={energy}  d E ={fortran(step.change_ev, 12, 6)}{mag}\n"
    heat = step.heat
    total = step.forces.energy_ev + heat.kinetic_ev + heat.reservoir_ev + heat.thermostat_ev
    return (
        f"{step.number:7d} T= {heat.temperature_k:5.0f}. E={fortran(total, 15, 8)} F={energy} E0={energy} "
        f" EK={fortran(heat.kinetic_ev, 12, 5)} SP={fortran(heat.reservoir_ev, 9, 2)}"
        f" SK={fortran(heat.thermostat_ev, 9, 2)}{mag}\n"
    )


def fortran(number: float, width: int, digits: int = 5) -> str:
    """Return a number as Fortran's E format writes it, its mantissa below 1."""
    mantissa, exponent = f"{abs(number):.{digits - 1}E}".split("E")
    power = int(exponent) + (1 if float(mantissa) else 0)
    sign = "-" if number < 0 else ""
    zero = "" if sign and width < digits + 8 else "0"
    return f"{sign}{zero}.{mantissa.replace('.', '')}E{power:+03d}".rjust(width)
