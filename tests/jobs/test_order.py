from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobflow import JobStore
from jobflow.core.job import Job
from pymatgen.analysis.structure_matcher import StructureMatcher

from lzc_flows.crystal.doping import Combination, HostFrame, Substitution, doped_cell
from lzc_flows.crystal.host import WYCKOFF, ideal_host
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.ordering import Arrangement, order
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.order import OrderDoc
from lzc_flows.documents.protocols import OrderProtocol
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.jobs.order import SAME_ENERGY_EV, OrderMaker, by_preference

NEP = EngineSpec(name="nep")

LZC = HostSpec(name="lzc")
TI = Substitution(ion="Ti3+", labels=("2d",), count=1)
HF = Substitution(ion="Hf4+", labels=("1a", "2d"), count=1)
THREE_F = Substitution(ion="F-", labels=("6i",), count=3)
TI_F = Combination(supercell=(2, 2, 1), cation=TI, anion=THREE_F)
SHORT = OrderProtocol(shortlist=3, fmax_ev_per_angstrom=0.5, max_steps=40)

Run = Callable[[Job, Path], OrderDoc]
Stores = Callable[[], JobStore]


@pytest.fixture(scope="module")
def ordered(run: Run, tmp_path_factory: pytest.TempPathFactory) -> OrderDoc:
    """Ti3+ on 2d with three F- in 2×2×1, decided by NEP."""
    job = OrderMaker(engine="nep", protocol=SHORT).make(LZC, TI_F)
    return run(job, tmp_path_factory.mktemp("order"))


def test_the_ordered_cell_is_neutral_and_of_the_combinations_formula(ordered: OrderDoc) -> None:
    structure = ordered.structure
    cell = doped_cell(HostFrame(ideal_host(), (2, 2, 1)), TI_F)
    assert structure.charge == pytest.approx(0, abs=1e-9)
    assert structure.composition.element_composition == cell.composition
    assert structure.composition.element_composition.formula == "Li25 Zr11 Ti1 Cl69 F3"
    labels = {(str(site.specie), site.properties[WYCKOFF]) for site in structure if site.specie.symbol in ("Ti", "F")}
    assert labels == {("Ti3+", "2d"), ("F-", "6i")}
    assert ordered.arrangements == str(cell.arrangements)


def test_the_shortlist_is_sorted_by_relaxed_energy(ordered: OrderDoc) -> None:
    energies = [entry.engine_energy_ev for entry in ordered.shortlist]
    assert len(energies) == SHORT.shortlist
    for first, second in pairwise(energies):
        assert first < second + SAME_ENERGY_EV
    assert ordered.margin_ev == pytest.approx(max(energies[1] - energies[0], 0.0), abs=1e-12)
    assert ordered.margin_ev >= 0
    assert ordered.decided_by == "relaxed-energy"
    assert [row.tier for row in ordered.tiers] == ["electrostatics", "bond-valence", "relaxed-energy", "symmetry"]
    electrostatics, bond_valence, engine, symmetry = ordered.tiers
    assert electrostatics.tied == bond_valence.compared
    assert (engine.compared, engine.tied, symmetry.compared) == ("3", "1", "1")
    assert engine.margin == pytest.approx(ordered.margin_ev, rel=1e-9)
    assert ordered.engine == MLIPS["nep"].stamp()
    assert ordered.protocol == SHORT
    assert ordered.corrections == []


def test_the_first_of_the_shortlist_is_the_structure(ordered: OrderDoc) -> None:
    arrangements = order(ideal_host(), TI_F, SHORT).spread
    same = [entry for entry in arrangements if StructureMatcher().fit(entry.structure, ordered.structure)]
    chosen = ordered.shortlist[0]
    assert len(same) == 1
    assert (same[0].anions_at_dopant, same[0].stabiliser) == (chosen.anions_at_dopant, chosen.stabiliser)
    assert same[0].instability_vu == pytest.approx(chosen.instability_vu, rel=1e-12)
    # unrelaxed: every site is one of the host's
    sites = ideal_host().supercell((2, 2, 1)).with_vacant.frac_coords
    apart = ordered.structure.frac_coords[:, None] - sites[None]
    apart -= np.round(apart)
    assert np.abs(apart).max(axis=2).min(axis=1).max() < 1e-6


def test_a_single_arrangement_asks_no_engine(run: Run, tmp_path: Path) -> None:
    # an engine that does not exist would be refused if it were asked
    job = OrderMaker(engine="vasp", protocol=SHORT).make(LZC, Combination(supercell=(1, 1, 1)))
    document = run(job, tmp_path)
    assert document.engine is None
    assert document.margin_ev is None
    assert document.decided_by == "electrostatics"
    assert [entry.engine_energy_ev for entry in document.shortlist] == [None]
    assert document.structure.composition == ideal_host().structure.composition
    assert not list(tmp_path.rglob("relax*"))


@pytest.mark.parametrize(
    ("combination", "decided_by"),
    [
        (TI_F, "symmetry"),
        (Combination(supercell=(1, 1, 1), cation=TI), "electrostatics"),
        # a cation of the host's own charge: its sites tie
        (Combination(supercell=(1, 1, 1), cation=HF), "bond-valence"),
    ],
)
def test_a_shortlist_of_one_asks_no_engine(run: Run, tmp_path: Path, combination: Combination, decided_by: str) -> None:
    protocol = OrderProtocol(shortlist=1)
    document = run(OrderMaker(engine="vasp", protocol=protocol).make(LZC, combination), tmp_path)
    expected = order(ideal_host(), combination, protocol).ranked[0].structure
    assert len(document.shortlist) == 1
    assert (document.engine, document.margin_ev, document.decided_by) == (None, None, decided_by)
    assert document.structure == expected
    assert document.structure.site_properties == expected.site_properties


def test_static_energies_decide_where_they_are_asked(run: Run, tmp_path: Path) -> None:
    """Single points of the unrelaxed cells, as the engine's own calculator gives them."""
    protocol = OrderProtocol(tiers=("electrostatics", "bond-valence", "static-energy", "symmetry"), shortlist=3)
    document = run(OrderMaker(engine="nep", protocol=protocol).make(LZC, TI_F), tmp_path)
    assert document.decided_by == "static-energy"
    energies = [entry.engine_energy_ev for entry in document.shortlist]
    assert energies == sorted(energies)
    atoms = document.structure.copy().remove_oxidation_states().to_ase_atoms()
    atoms.calc = MLIPS["nep"].static_maker().calculator
    assert energies[0] == pytest.approx(atoms.get_potential_energy(), rel=0, abs=1e-6)


def test_an_unknown_engine_is_refused_before_anything_is_relaxed(stores: Stores, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(InputError, match="engine 'none'"):
        OrderMaker(engine="none", protocol=SHORT).make(LZC, TI_F).run(stores())
    assert not list(tmp_path.iterdir())


# ---- what is preferred, by itself ----


def arrangement(stabiliser: int) -> Arrangement:
    lattice = SiteLattice(ideal_host(), (1, 1, 1))
    return Arrangement(lattice, lattice.ions, -1.0, 0.0, None, 0, 12 // stabiliser, stabiliser)


energies_ev = st.none() | st.floats(-0.003, 0.003) | st.sampled_from([-120.0, -119.9995, -119.9985])


@given(st.lists(st.tuples(energies_ev, st.sampled_from([1, 2, 6])), min_size=1, max_size=6))
def test_preference(drawn: list[tuple[float | None, int]]) -> None:
    energies = [energy for energy, _ in drawn]
    shortlist = [arrangement(stabiliser) for _, stabiliser in drawn]
    ranked = by_preference(shortlist, energies)
    assert sorted(ranked) == list(range(len(drawn)))
    sound = [energies[i] for i in ranked if energies[i] is not None]
    # broken ones last
    assert [energies[i] for i in ranked[len(sound) :]] == [None] * (len(drawn) - len(sound))
    if sound:
        best = ranked[0]
        level = [i for i in ranked if (energies[i] or 0) < min(sound) + SAME_ENERGY_EV and energies[i] is not None]
        assert best in level
        assert drawn[best][1] == max(drawn[i][1] for i in level)
        assert all(later > earlier - SAME_ENERGY_EV for earlier, later in pairwise(sound))


def test_energies_within_the_tolerance_are_one_wherever_they_lie() -> None:
    # 0.499 and 0.501 meV: rounding to whole meV would tell them apart
    shortlist = [arrangement(1), arrangement(6)]
    assert by_preference(shortlist, [0.000499, 0.000501]) == [1, 0]
    assert by_preference(shortlist, [0.0, 0.00101]) == [0, 1]
    assert by_preference(shortlist, [math.inf, None]) == [1, 0]


def test_a_shortlist_whose_every_relaxation_breaks_fails(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no relaxed volume is within such limits
    monkeypatch.setattr("lzc_flows.recovery.relax.VOLUME_RATIO", (2.0, 3.0))
    combination = Combination(supercell=(1, 1, 1), anion=Substitution(ion="F-", labels=("6i",), count=1))
    maker = OrderMaker(protocol=OrderProtocol(shortlist=2, max_steps=2))
    with contextlib.chdir(tmp_path), pytest.raises(CalculationError, match="every relaxation of the shortlist broke"):
        maker.make(LZC, combination).run(stores())
