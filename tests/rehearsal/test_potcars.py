from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import SETTINGS
from pymatgen.io.vasp.inputs import Potcar, PotcarSingle, _load_potcar_summary_stats

from lzc_flows.engines.vasp_potcars import FUNCTIONAL, known_potcars, unknown_potcars_allowed
from lzc_flows.errors import InputError
from lzc_flows.rehearsal.potcar import read_potcar
from lzc_flows.rehearsal.potcars import MARK, potcar_text, write_library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def in_use(library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(library))
    return library


def test_pymatgen_finds_each_stand_in(in_use: Path) -> None:
    with unknown_potcars_allowed(), warnings.catch_warnings():
        warnings.simplefilter("error", append=True)
        potcars = Potcar(list(known_potcars()), FUNCTIONAL)
    for facts, potcar in zip(known_potcars().values(), potcars, strict=True):
        assert (potcar.symbol, potcar.element) == (facts.symbol, facts.symbol.split("_")[0])
        assert (potcar.nelectrons, potcar.enmax) == (facts.zval, facts.enmax_ev)
        assert (potcar.functional, potcar.potential_type) == ("PBE", "PAW")


def entries_of(functional: str) -> dict[str, dict[str, Any]]:
    """What pymatgen keeps of each POTCAR that there is, by symbol."""
    stored = _load_potcar_summary_stats()[functional]
    return {entry["symbol"]: entry for entries in stored.values() for entry in entries}


def test_valences_are_those_of_the_real_ones() -> None:
    real = entries_of(FUNCTIONAL)
    expected = {symbol: real[symbol]["ZVAL"] for symbol in known_potcars()}
    assert {symbol: facts.zval for symbol, facts in known_potcars().items()} == expected


def test_headers_are_those_whose_cutoffs_the_table_has() -> None:
    """The table's cutoffs are of the set PBE_64: its headers have the same numbers."""
    ours, source = entries_of(FUNCTIONAL), entries_of("PBE_64")
    differ = {s for s in known_potcars() if ours[s]["stats"]["header"] != source[s]["stats"]["header"]}
    assert differ == set()


def test_a_stand_in_never_passes_for_a_real_one(in_use: Path) -> None:
    with pytest.warns(UserWarning, match="is not known to pymatgen"):
        potcar = PotcarSingle.from_symbol_and_functional("Li_sv", FUNCTIONAL)
    assert not potcar.is_valid
    assert potcar.TITEL.split()[-1] == MARK
    assert f" {MARK} for a rehearsal, this is no pseudopotential" in potcar.data


def test_several_in_one_file(tmp_path: Path) -> None:
    """As VASP has them: one after the other, read by pymatgen and by the stand-in."""
    path = tmp_path / "POTCAR"
    path.write_text("".join(potcar_text(symbol) for symbol in ("Li_sv", "Zr_sv", "Cl")))
    with unknown_potcars_allowed():
        assert Potcar.from_file(str(path)).symbols == ["Li_sv", "Zr_sv", "Cl"]
    lithium, zirconium, chlorine = read_potcar(path)
    assert (lithium.element, lithium.valence, lithium.largest_cutoff_ev) == ("Li", 3.0, 499.034)
    assert (zirconium.valence, chlorine.valence) == (12.0, 7.0)
    assert zirconium.mass_amu == pytest.approx(91.224, abs=1e-3)
    assert lithium.smallest_cutoff_ev == pytest.approx(0.75 * 499.034, abs=1e-3)


def test_the_library_has_what_is_asked_for(tmp_path: Path) -> None:
    folder = write_library(tmp_path / "library", ["Li_sv"])
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    assert file.relative_to(folder).as_posix() == "POT_GGA_PAW_PBE_54/POTCAR.Li_sv.gz"
    assert gzip.decompress(file.read_bytes()).decode() == potcar_text("Li_sv")
    before = file.read_bytes()
    write_library(folder, ["Li_sv"])
    assert file.read_bytes() == before


def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(InputError, match=r"^POTCAR Li_xx: no stand-in is known; allowed are H, Li_sv"):
        potcar_text("Li_xx")
