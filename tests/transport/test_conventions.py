from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition, Species
from scipy.special import erfc

from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import InputError
from lzc_flows.transport.conventions import CONVENTIONS, effective_charge, pair_energy

LI, ZR, CL = Species("Li", 1), Species("Zr", 4), Species("Cl", -1)
LI2ZRCL6 = Composition({LI: 2, ZR: 1, CL: 6})
R = np.array([0.5, 1.7, 2.39647, 5.0, 9.9])


def test_every_convention_is_named_and_has_a_source():
    assert set(CONVENTIONS) == {"bvlain", "softbv", "softbv-effective"}
    for name, convention in CONVENTIONS.items():
        assert convention.name == name
        assert convention.source
        assert convention.mobile_framework == "removed"


def test_morse_energy_of_lithium_and_chloride():
    # D0 0.49302 eV, α 1.577287 1/Å, Rmin 2.39647 Å: −p·D0 at the minimum
    half = pair_energy(LI, CL, CONVENTIONS["softbv"], LI2ZRCL6)(R)
    np.testing.assert_allclose(half, 0.24651 * ((np.exp(1.577287 * (2.39647 - R)) - 1) ** 2 - 1), rtol=1e-10)
    assert half[2] == pytest.approx(-0.24651, rel=1e-12, abs=0)
    whole = pair_energy(LI, CL, replace(CONVENTIONS["softbv"], morse_prefactor=1.0), LI2ZRCL6)(R)
    np.testing.assert_allclose(whole, 2 * half, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "radii"),
    # Li 1.28 + Zr 1.75 Å (Cordero et al. 2008); Li+ 1.31 + Zr4+ 1.41 Å (softBV)
    [("bvlain", 3.03), ("softbv", 2.72)],
)
def test_coulomb_energy_of_lithium_and_zirconium(name, radii):
    expected = 14.4 * 4 / math.sqrt(2 * 5) / R * erfc(R / (0.74 * radii))
    np.testing.assert_allclose(pair_energy(LI, ZR, CONVENTIONS[name], LI2ZRCL6)(R), expected, rtol=1e-12)


def test_formal_charges():
    formal = replace(CONVENTIONS["softbv"], charges="formal")
    expected = 14.4 * 4 / R * erfc(R / (0.74 * 2.72))
    np.testing.assert_allclose(pair_energy(LI, ZR, formal, LI2ZRCL6)(R), expected, rtol=1e-12)


def test_effective_charges_of_li2zrcl6():
    # n = 2, 5, 3: cations 2·1/√2 + 4/√5 = 3.203068, anions 6/√3 = 3.464102, √(anions/cations) = 1.039953
    assert effective_charge(LI, LI2ZRCL6) == pytest.approx(0.735358, rel=1e-5, abs=0)
    assert effective_charge(ZR, LI2ZRCL6) == pytest.approx(1.860325, rel=1e-5, abs=0)
    assert effective_charge(CL, LI2ZRCL6) == pytest.approx(-0.555169, rel=1e-5, abs=0)
    expected = 14.4 * 0.735358 * 1.860325 / R * erfc(R / (0.74 * 2.72))
    found = pair_energy(LI, ZR, CONVENTIONS["softbv-effective"], LI2ZRCL6)(R)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_effective_charges_add_up_to_zero():
    composition = ideal_host().structure.composition + Composition({Species("Y", 3): 0.25, Species("F", -1): 1.5})
    total = sum(number * effective_charge(species, composition) for species, number in composition.items())
    assert total == pytest.approx(0, abs=1e-12)


def test_effective_charges_need_both_signs():
    with pytest.raises(InputError, match="cations and anions"):
        effective_charge(LI, Composition({LI: 1, ZR: 1}))
