"""Jobs of the interlayer scan: stretch the crystal along c, and collect what its hops became."""

from __future__ import annotations

from jobflow import job
from pymatgen.core import Lattice, Structure

from lzc_flows.documents.neb import HopNetworkDoc, InterlayerPoint, InterlayerScanDoc
from lzc_flows.errors import InputError


def with_scaled_c(structure: Structure, factor: float) -> Structure:
    """Return the structure with c scaled, a and b and the fractional coordinates as they were.

    Raises
    ------
    InputError
        A factor that is not positive.
    """
    if not factor > 0:
        raise InputError(f"scale of c {factor:g}: above 0 is allowed")
    a, b, c = structure.lattice.matrix
    stretched = structure.copy()
    stretched.lattice = Lattice([a, b, factor * c])
    return stretched


@job(output_schema=InterlayerScanDoc)
def collect_scan(networks: list[HopNetworkDoc], layers: int) -> InterlayerScanDoc:
    """Return the barriers of one crystal's hops at several lengths of c.

    Parameters
    ----------
    networks
        The hops at each length.
    layers
        Cation layers along c in the crystal of the networks.
    """
    points = [
        InterlayerPoint(
            c_angstrom=network.structure.lattice.c,
            interlayer_angstrom=network.structure.lattice.c / layers,
            barriers_eV=network.barriers_eV,
            hops=network.hops,
        )
        for network in networks
    ]
    points.sort(key=lambda point: point.c_angstrom)
    return InterlayerScanDoc(points=points, engine=networks[0].engine)
