"""Many ions that hop on a network of sites and exclude each other, their occupations replaced by the means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_expit, logsumexp

from lzc_flows.errors import InputError
from lzc_flows.hopping.random_walk import CM2_S_PER_A2_HZ, Network, conductances, thermal_energy_ev

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.msd import Direction

_REACH = 800.0  # of the chemical potential beyond the sites' energies, in kT


def mean_field(network: Network, temperature_k: float, ions_per_cell: float) -> dict[Direction, float]:
    """Return an upper bound on the charge and on the tracer diffusivity of ions that exclude each other, cm²/s.

    Hops i → j happen n_i(1 − n_j) ν exp[−(S − E_i)/kT] times a second, n the occupations by Fermi and Dirac. The bound
    is the random walk with these conductances over the number of ions. The diffusivity is a minimum over functions of
    all ions' places (Spohn, Large Scale Dynamics of Interacting Particles (1991)), and this is the minimum over sums
    of functions of one ion's place: so the bound is rigorous in a large crystal. It is exact for few ions, for the
    charge at few vacancies, and for the charge on equal sites with symmetric hops. The correlation factor of tracers
    is not in it.

    Parameters
    ----------
    network
        Sites and hops.
    temperature_k
        Temperature, K.
    ions_per_cell
        More than none, less than sites.

    Raises
    ------
    InputError
        If the temperature or the number of ions is out of range.
    """
    kt, graph = thermal_energy_ev(temperature_k), network.graph
    log_occupied, log_vacant = _fermi(graph.energies_ev / kt, ions_per_cell)
    first, second = graph.sites.T
    # n_i (1 − n_j) exp(E_i/kT) is symmetric: written for the hop's first site
    logs = network.log_attempts() - (graph.levels_ev - graph.energies_ev[first]) / kt
    logs += log_occupied[first] + log_vacant[second]
    left = conductances(network, logs)
    total = logsumexp([one.logs() for one in left], axis=0) - math.log(ions_per_cell)
    return dict(zip(left[0].along, (np.exp(total) * CM2_S_PER_A2_HZ).tolist(), strict=True))


def mean_rate(network: Network, temperature_k: float, ions_per_cell: float) -> float:
    """Return the hops of an ion per second, by mean occupations.

    Raises
    ------
    InputError
        As `mean_field`, or if no hop ever happens.
    """
    kt, graph = thermal_energy_ev(temperature_k), network.graph
    log_occupied, log_vacant = _fermi(graph.energies_ev / kt, ions_per_cell)
    first, second = graph.sites.T
    logs = network.log_attempts() - (graph.levels_ev - graph.energies_ev[first]) / kt
    # both ways
    rate = 2 * float(np.exp(logs + log_occupied[first] + log_vacant[second]).sum()) / ions_per_cell
    if not rate > 0:
        raise InputError("network: no hop that ever happens")
    return rate


def _fermi(exponents: NDArray[np.float64], ions: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln n and ln(1 − n) by Fermi and Dirac for energies in kT."""
    if not 0 < ions < len(exponents):
        raise InputError(f"{ions} ions in a cell of {len(exponents)} sites: more than none and fewer than sites")
    reach = (float(exponents.min()) - _REACH, float(exponents.max()) + _REACH)
    # the scarcer of ions and vacancies is counted: its number keeps its digits
    vacancies = len(exponents) - ions

    def missing(potential: float) -> float:
        if ions <= vacancies:
            return float(logsumexp(log_expit(potential - exponents))) - math.log(ions)
        return math.log(vacancies) - float(logsumexp(log_expit(exponents - potential)))

    potential = brentq(missing, *reach, xtol=1e-13, rtol=1e-14)
    return log_expit(potential - exponents), log_expit(exponents - potential)
