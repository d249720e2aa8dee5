from __future__ import annotations

import re
from math import factorial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lzc_flows.crystal.doping import (
    Combination,
    DopedCell,
    GridSpec,
    HostFrame,
    Substitution,
    doped_cell,
    expand_grid,
)
from lzc_flows.crystal.host import ideal_host, rietveld_host
from lzc_flows.crystal.ions import charge_of, element_of, parse_ion
from lzc_flows.errors import InputError

# cations for the Zr4+ octahedron
# fmt: off
DOPANTS = [
    "Mg2+", "Zn2+", "Co2+", "Ni2+", "Fe2+", "Mn2+", "Cd2+", "Ca2+",
    "Sc3+", "In3+", "Ti3+", "V3+", "Cr3+", "Fe3+", "Ga3+", "Al3+", "Lu3+", "Yb3+", "Tm3+", "Er3+", "Y3+", "Ho3+",
    "Gd3+", "Sb3+", "Bi3+", "La3+",
    "Hf4+", "Sn4+", "Ti4+", "Ge4+", "Ce4+",
    "P5+", "Nb5+", "Ta5+", "Sb5+", "Mo5+", "V5+", "W6+", "Mo6+",
]
# fmt: on
SITES = {("1a",): 1, ("2d",): 2, ("1a", "2d"): 3}  # a unit cell


def binomial(n: int, k: int) -> int:
    return factorial(n) // (factorial(k) * factorial(n - k))


def cell_of(supercell: tuple[int, int, int] = (2, 2, 1), **parts: Substitution) -> DopedCell:
    return doped_cell(HostFrame(ideal_host(), supercell), Combination(supercell=supercell, **parts))


def on(ion: str, site: str, count: int) -> Substitution:
    return Substitution(ion=ion, labels=tuple(site.split("+")), count=count)


def total_charge(cell: DopedCell) -> int:
    """Charge of the composition; the dopants' elements are not in the host."""
    charges = {"Li": 1, "Zr": 4, "Cl": -1}
    charges |= {part.element: charge_of(part.ion) for part in cell.combination.substitutions}
    return sum(charges[symbol] * int(number) for symbol, number in cell.composition.as_dict().items())


# ---- published numbers ----


def test_section_1_10_counts_25764480_arrangements() -> None:
    cell = cell_of(cation=on("Ti3+", "1a+2d", 1), anion=on("F-", "6i", 3))
    assert cell.arrangements == 25_764_480 == 12 * (72 * 71 * 70 // 6) * 36
    assert cell.formula == "Li25Zr11Ti1Cl69F3"
    assert cell.extra_mobile == 1


def test_the_ions_of_a_cell_are_those_that_are_left() -> None:
    titanium = Substitution(ion="Ti3+", labels=("1a",), count=4)
    assert cell_of(cation=titanium).ions == ("Li+", "Zr4+", "Cl-", "Ti3+")
    hafnium = Substitution(ion="Hf4+", labels=("1a", "2d"), count=12)
    bromine = Substitution(ion="Br-", labels=("6i",), count=72)
    assert cell_of(cation=hafnium, anion=bromine).ions == ("Li+", "Hf4+", "Br-")
    # each W6+ leaves two vacancies, and twelve of them no Li+
    tungsten = Substitution(ion="W6+", labels=("1a", "2d"), count=12)
    assert cell_of(cation=tungsten).ions == ("Cl-", "W6+")


def test_undoped_cell() -> None:
    cell = cell_of()
    assert (cell.formula, cell.extra_mobile, cell.arrangements) == ("Li24Zr12Cl72", 0, 1)
    assert cell.combination.slug == "undoped_2x2x1"
    assert cell.combination.column == "undoped"


@pytest.mark.parametrize("ion", DOPANTS)
def test_lithium_compensates_every_dopant(ion: str) -> None:
    assert parse_ion(ion) == ion
    cell = cell_of(cation=on(ion, "1a", 1))
    assert cell.extra_mobile == 4 - charge_of(ion)
    assert cell.composition["Li"] == 24 + 4 - charge_of(ion)
    assert (cell.composition["Zr"], cell.composition[element_of(ion)]) == (11, 1)
    assert total_charge(cell) == 0


@pytest.mark.parametrize(("ion", "extra"), [("F-", 0), ("O2-", 1), ("S2-", 1)])
def test_anions(ion: str, extra: int) -> None:
    cell = cell_of(anion=on(ion, "6i", 2))
    assert cell.extra_mobile == 2 * extra
    assert cell.arrangements == binomial(72, 2) * binomial(36, 2 * extra)
    assert total_charge(cell) == 0


# ---- any combination ----


@st.composite
def combinations(draw: st.DrawFn) -> Combination:
    supercell = draw(st.tuples(*[st.integers(1, 2)] * 3))
    size = supercell[0] * supercell[1] * supercell[2]
    labels = draw(st.sampled_from(list(SITES)))
    cations = st.builds(
        Substitution,
        ion=st.sampled_from(DOPANTS),
        labels=st.just(labels),
        count=st.integers(1, size * SITES[labels]),
    )
    anions = st.builds(
        Substitution,
        ion=st.sampled_from(["F-", "O2-", "S2-", "Br-", "N3-"]),
        labels=st.just(("6i",)),
        count=st.integers(1, 18 * size),
    )
    return Combination(supercell=supercell, cation=draw(st.none() | cations), anion=draw(st.none() | anions))


@given(combinations())
@settings(max_examples=300, deadline=None)
def test_cells_are_neutral_and_counted_or_refused(combination: Combination) -> None:
    frame = HostFrame(ideal_host(), combination.supercell)
    size, (cation, anion) = frame.size, (combination.cation, combination.anion)
    extra = cation.count * (4 - charge_of(cation.ion)) if cation else 0
    extra -= anion.count * (charge_of(anion.ion) + 1) if anion else 0
    if not -6 * size <= extra <= 9 * size:
        message = rf"^{re.escape(combination.slug)}: .* cannot be compensated by Li\+: .* {9 * size} vacant sites"
        with pytest.raises(InputError, match=message):
            doped_cell(frame, combination)
        return
    cell = doped_cell(frame, combination)
    assert total_charge(cell) == 0
    assert cell.extra_mobile == extra
    assert cell.composition.num_atoms == 27 * size + extra
    expected = binomial(9 * size, extra) if extra >= 0 else binomial(6 * size, -extra)
    expected *= binomial(size * SITES[cation.labels], cation.count) if cation else 1
    expected *= binomial(18 * size, anion.count) if anion else 1
    assert cell.arrangements == expected


@given(combinations())
def test_combinations_survive_json_and_name_themselves(combination: Combination) -> None:
    assert Combination.model_validate_json(combination.model_dump_json()) == combination
    assert re.fullmatch(r"[A-Za-z0-9+_-]+", combination.slug)


def test_dopant_of_the_hosts_own_element_is_counted_with_it() -> None:
    """Zr3+ on Zr4+: both are Zr in the formula."""
    assert cell_of(cation=on("Zr3+", "1a", 1)).formula == "Li25Zr12Cl72"


@given(st.integers(1, 12))
def test_mobile_ions_that_a_dopant_replaced_cannot_leave(count: int) -> None:
    """Mg2+ on a Li+ site needs one vacancy each, among the lithium that is left."""
    cell = cell_of(cation=on("Mg2+", "6h", count))
    assert cell.extra_mobile == -count
    assert cell.composition["Li"] == 24 - 2 * count
    assert cell.arrangements == binomial(24, count) * binomial(24 - count, count)


def test_no_more_vacancies_than_mobile_ions_left() -> None:
    with pytest.raises(InputError) as refusal:
        cell_of(cation=on("Mg2+", "6h", 13))
    assert str(refusal.value) == (
        "Mg2-6h-x13_2x2x1: a charge of +13 cannot be compensated by Li+: the supercell has 36 vacant sites and 11 Li+"
    )


# ---- the grid ----


def test_combinations_are_unique_and_zero_counts_are_one() -> None:
    grid = GridSpec(
        supercell=(2, 2, 1),
        cations=("Ti3+", "Sc3+", "Ti3+"),
        cation_sites=("1a", "2d", "1a+2d", "2d+1a"),
        cation_counts=(0, 1, 2, 1),
        anions=("F-", "O2-"),
        anion_counts=(0, 1, 3),
    )
    found = list(grid.combinations())
    assert len(set(found)) == len(found)
    assert len({combination.slug for combination in found}) == len(found)
    # with and without a cation (2 ions × 3 sites × 2 counts) or an anion (2 × 2); neither is the reference
    assert len(found) == (2 * 3 * 2 + 1) * (2 * 2 + 1)
    assert [combination.slug for combination in found].count("undoped_2x2x1") == 1
    assert found[0] == Combination(supercell=(2, 2, 1))


def test_reference_can_be_left_out() -> None:
    grid = GridSpec(supercell=(1, 1, 1), cations=("Ti3+",), cation_counts=(0, 1), undoped=False)
    assert [combination.slug for combination in grid.combinations()] == [
        "Ti3-1a-x1_1x1x1",
        "Ti3-2d-x1_1x1x1",
    ]


def test_undoped_host_alone() -> None:
    assert [cell.formula for cell in expand_grid(ideal_host(), GridSpec(supercell=(1, 1, 1)))] == ["Li6Zr3Cl18"]


def test_thousands_of_combinations_of_a_cell_too_large_to_build() -> None:
    """64,000 unit cells are 1.7 million atoms: the grid counts, and builds none of them."""
    grid = GridSpec(
        supercell=(40, 40, 40),
        cations=tuple(DOPANTS),
        cation_sites=("1a", "2d", "1a+2d"),
        cation_counts=(1, 2, 3, 4),
        anions=("F-", "O2-", "S2-"),
        anion_counts=(0, 1, 2, 3, 4),
    )
    cells = expand_grid(ideal_host(), grid)
    assert len(cells) == 1 + len(DOPANTS) * 3 * 4 * (3 * 4 + 1) > 5000
    assert all(cell.composition.num_atoms == 27 * 64_000 + cell.extra_mobile for cell in cells)


def test_slug_and_column_read_well() -> None:
    combination = Combination(supercell=(2, 2, 1), cation=on("Ti3+", "1a+2d'", 1), anion=on("F-", "6i", 3))
    assert combination.slug == "Ti3-1a+2dp-x1_F1-6i-x3_2x2x1"
    assert combination.column == "1a+2d' ×1 · F 6i ×3"


# ---- what is refused, each in one line ----


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"cation": on("Ti3+", "1b", 1)}, "site '1b' for Ti3+: host 'lzc' has 6h, 1a, 2d, 6i"),
        ({"cation": on("Ti3+", "1a+3e", 1)}, "site '3e' for Ti3+: host 'lzc' has 6h, 1a, 2d, 6i"),
        ({"cation": on("Ti3+", "1a+1a", 1)}, "sites '1a+1a' for Ti3+: each label once is allowed"),
        (
            {"cation": on("Ti3+", "1a+6h", 1)},
            "sites '1a+6h' for Ti3+: they hold different ions (Li+, Zr4+)",
        ),
        (
            {"cation": on("Ti3+", "6i", 1)},
            "Ti3+ on '6i': the site holds Cl-; an ion of the same sign is allowed",
        ),
        (
            {"anion": on("F-", "2d", 1)},
            "F- on '2d': the site holds Zr4+; an ion of the same sign is allowed",
        ),
        (
            {"cation": on("Zr4+", "2d", 1)},
            "Zr4+ on '2d': the site holds Zr4+ already; another ion is allowed",
        ),
        (
            {"cation": on("Ti3+", "1a", 5)},
            "5 Ti3+ on '1a': the 2×2×1 supercell has 4 such sites (occupancy above 1)",
        ),
        (
            {"anion": on("F-", "6i", 73)},
            "73 F- on '6i': the 2×2×1 supercell has 72 such sites (occupancy above 1)",
        ),
        (
            {"anion": on("O2-", "6i", 37)},
            "O2-6i-x37_2x2x1: a charge of -37 cannot be compensated by Li+: "
            "the supercell has 36 vacant sites and 24 Li+",
        ),
    ],
)
def test_impossible_combinations(parts: dict[str, Substitution], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        cell_of(**parts)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"cations": ["Xx3+"]}, "cations", "ion 'Xx3+': an element with its charge is allowed"),
        ({"cations": ["Ti9+"]}, "cations", "Ti is known in the oxidation states -1, +2, +3, +4"),
        ({"anions": ["F2-"]}, "anions", "F is known in the oxidation states -1"),
        ({"cations": ["F-"]}, "cations", "ion 'F-': cations are allowed"),
        ({"anions": ["Ti3+"]}, "anions", "ion 'Ti3+': anions are allowed"),
        ({"cation_counts": [1, -1]}, "cation_counts", "counts of 0 and above are allowed"),
        ({"cation_counts": [1.5]}, "cation_counts", "integer"),
        ({"supercell": [2, 2, 0]}, "supercell", "three positive integers are allowed, such as [2, 2, 1]"),
        ({"supercell": [2, 2]}, "supercell", "Field required"),
        ({"supercell": [2, 2, 1.5]}, "supercell", "integer"),
        ({"cation_site": ["1a"]}, "cation_site", "Extra inputs are not permitted"),
    ],
)
def test_malformed_grids(changes: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        GridSpec.model_validate({"supercell": [2, 2, 1], **changes})
    (error,) = refusal.value.errors()
    assert error["loc"][0] == key
    assert message in error["msg"]


def test_no_ions_of_a_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        on("Ti3+", "1a", 0)


def test_grid_needs_an_ordered_host() -> None:
    with pytest.raises(InputError) as refusal:
        expand_grid(rietveld_host("lzc"), GridSpec(supercell=(1, 1, 1)))
    assert str(refusal.value) == ("host 'lzc-rietveld': partially occupied; an ordered host such as 'lzc' is allowed")
