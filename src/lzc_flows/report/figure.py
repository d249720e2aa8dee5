"""How figures look, and how they are saved so that the same figure gives the same bytes."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib.style

from lzc_flows.files import write_atomically

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

INK = "#1a1a1a"
"""Colour of text and lines that matter."""

SOFT_INK = "#4d4d4d"
"""Colour of what stands behind."""

_MARGIN_IN = 0.1

_STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine draws the same
    "text.parse_math": False,
    "svg.hashsalt": "lzc-flows",
    "pdf.fonttype": 42,  # text stays text: journals ask for it
    "hatch.linewidth": 0.6,
}


def figure_style() -> AbstractContextManager[None]:
    """Return a context in which to draw: matplotlib's defaults and this package's, whatever the user's are."""
    return matplotlib.style.context(["default", _STYLE], after_reset=True)


def drawn_extent(figure: Figure) -> Bbox:
    """Return what of the page is drawn on, with a margin, in inches; to find it costs as much as to draw."""
    with figure_style():
        if figure.get_layout_engine() is not None:  # which moves the axes when it draws
            figure.draw_without_rendering()
        return figure.get_tightbbox().padded(_MARGIN_IN)


def write_png(figure: Figure, path: Path, dpi: int = 300, extent: Bbox | None = None) -> None:
    """Save a figure as PNG, cut to what is drawn; the same figure gives the same bytes.

    Parameters
    ----------
    figure
        The figure.
    path
        Destination, replaced in one step.
    dpi
        Pixels per inch.
    extent
        What `drawn_extent` returned, where a figure is saved more than once; None: found here.

    Raises
    ------
    OSError
        The file cannot be written; what was at `path` before is untouched.
    """
    # no version number: the bytes depend on the figure alone
    _write(figure, path, extent, {"format": "png", "dpi": dpi, "metadata": {"Software": None}})


def write_svg(figure: Figure, path: Path, extent: Bbox | None = None) -> None:
    """Save a figure as SVG, as `write_png` does."""
    _write(figure, path, extent, {"format": "svg", "metadata": {"Date": None, "Creator": None}})


def write_pdf(figure: Figure, path: Path, extent: Bbox | None = None) -> None:
    """Save a figure as PDF, as `write_png` does."""
    _write(
        figure, path, extent, {"format": "pdf", "metadata": {"CreationDate": None, "Creator": None, "Producer": None}}
    )


def _write(figure: Figure, path: Path, extent: Bbox | None, options: dict[str, Any]) -> None:
    stream = BytesIO()
    with figure_style():
        figure.savefig(stream, **options, bbox_inches=drawn_extent(figure) if extent is None else extent)
    write_atomically(path, stream.getvalue())
