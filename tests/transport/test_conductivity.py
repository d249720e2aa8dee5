from __future__ import annotations

import pytest

from lzc_flows.transport.conductivity import CM2_S_PER_A2_PS, PER_CM3_OF_PER_A3, nernst_einstein


def test_units() -> None:
    assert pytest.approx(1e-4, rel=1e-12) == CM2_S_PER_A2_PS
    assert pytest.approx(1e24, rel=1e-12) == PER_CM3_OF_PER_A3


def test_potassium_in_water() -> None:
    """D = 1.957e-5 cm²/s at 25 °C makes 73.48 S cm²/mol (CRC Handbook of Chemistry and Physics, infinite dilution)."""
    avogadro = 6.02214076e23
    assert nernst_einstein(avogadro, 1, 298.15) / 1000 * 1.957e-5 == pytest.approx(73.48, rel=1e-3)


def test_the_charge_counts_twice() -> None:
    assert nernst_einstein(1e22, -2, 300) == pytest.approx(4 * nernst_einstein(1e22, 1, 300), rel=1e-12)
