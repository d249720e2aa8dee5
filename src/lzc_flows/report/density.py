"""The iso-surface of a probability density in the cell, after Supplementary Fig. 22 of the doped-LZC paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lzc_flows.errors import InputError
from lzc_flows.report.landscape import isosurface_figure
from lzc_flows.transport.bvse import EnergyField
from lzc_flows.transport.density_connectivity import ISO_FRACTION

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pymatgen.core import Structure

    from lzc_flows.transport.density import Density


def density_figure(density: Density, structure: Structure, fraction: float = ISO_FRACTION) -> Figure:
    """Draw the iso-surface at a fraction of the highest density, with the atoms of the framework.

    The view is that of `lzc_flows.report.landscape.isosurface_figure`.

    Parameters
    ----------
    density
        The density.
    structure
        The crystal whose atoms are drawn, but for the mobile ones: the first frame, or the ideal structure that the
        density was symmetrised by.
    fraction
        Where the surface lies, of the highest density.

    Returns
    -------
    A figure to be saved with `lzc_flows.report.figure.write_png`.

    Raises
    ------
    InputError
        If the fraction is not between that of the lowest node and 1.
    """
    lowest = float(density.per_angstrom3.min()) / density.highest
    if not lowest < fraction < 1:
        raise InputError(f"iso-surface at {fraction:g} of the highest density: between {lowest:.3g} and 1 is allowed")
    # dense is deep: 0 at the highest density, 1 where no ion ever was; linear, so that surfaces lie where they should
    depth = EnergyField(
        1 - density.per_angstrom3 / density.highest,
        density.lattice_angstrom,
        f"{density.species}+",  # of which the picture shows the element alone
        "probability density",
        0.0,
    )
    figure = isosurface_figure(depth, structure, (1 - fraction,), {})
    legend = figure.legends[0]
    symmetry = f", mean over {density.operations} operations" if density.operations > 1 else ""
    legend.set_title(f"Probability density of {density.species}, {density.frames} frames{symmetry}")
    legend.get_texts()[0].set_text(f"{_fraction(fraction)} = {fraction * density.highest:.2g} Å⁻³")
    return figure


def _fraction(fraction: float) -> str:
    """Return "Pmax/50" for 1/50, and a decimal number times Pmax for what is no simple part."""
    parts = round(1 / fraction)
    return f"Pmax/{parts}" if abs(parts * fraction - 1) < 1e-9 else f"{fraction:g} Pmax"
