from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pymatgen.core import Structure

from lzc_flows.crystal.doping import GridSpec, expand_grid
from lzc_flows.crystal.host import BUILT_IN, WYCKOFF, ideal_host
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.errors import InputError, InputWarning

# P-3m1 with its 12 operations (International Tables A, No. 164) and the sites of Supplementary Table 3
CIF = """data_lzc
_cell_length_a 10.9737
_cell_length_b 10.9737
_cell_length_c 5.9308
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P -3 m 1'
_symmetry_Int_Tables_number 164
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
'-y, x-y, z'
'-x+y, -x, z'
'y, x, -z'
'x-y, -y, -z'
'-x, -x+y, -z'
'-x, -y, -z'
'y, -x+y, -z'
'x-y, x, -z'
'-y, -x, z'
'-x+y, y, z'
'x, x-y, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Zr1 Zr 0 0 0 1
Zr2 Zr 0.333333 0.666667 0.5193 1
Li1 Li 0.3289 0 0.5 1
Cl1 Cl 0.1103 -0.1103 0.7477 1
Cl2 Cl 0.2243 -0.2243 0.2733 1
Cl3 Cl 0.4446 -0.4446 0.7369 1
"""

MAP: dict[str, Any] = {
    "name": "my-lzc",
    "cif": CIF,
    "labels": {"Zr1": "1a", "Zr2": "2d", "Li1": "6h", "Cl1": "6i", "Cl2": "6i", "Cl3": "6i"},
    "oxidation_states": {"Li": 1, "Zr": 4, "Cl": -1},
    "vacant": {"1b": (0, 0, 0.5), "2d'": (1 / 3, 2 / 3, 0.9605), "6g": (0.3198, 0, 0)},
}


def spec(**changes: Any) -> HostSpec:
    return HostSpec.model_validate({**MAP, **changes})


def same_points(one: Structure, other: Structure) -> bool:
    """Whether two crystals hold the same ions and labels at the same places, in any order."""
    apart = one.lattice.get_all_distances(one.frac_coords, other.frac_coords)
    partner = apart.argmin(axis=1)
    if len(one) != len(other) or sorted(partner) != list(range(len(one))):
        return False
    kinds = [(site.species_string, site.properties[WYCKOFF]) for site in one]
    others = [(other[i].species_string, other[i].properties[WYCKOFF]) for i in partner]
    return kinds == others and apart.min(axis=1).max() < 1e-4


# ---- what is accepted ----


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_name_alone_is_a_built_in_host(name: str) -> None:
    from_text = HostSpec.model_validate(name)
    assert from_text == HostSpec(name=name)
    assert from_text.read() is BUILT_IN[name]()


def test_cif_with_label_map_is_the_built_in_host() -> None:
    host = spec().read()
    assert host.site_counts == {"1a": 1, "2d": 2, "6h": 6, "6i": 18}
    assert same_points(host.structure, ideal_host().structure)
    assert same_points(Structure.from_sites(host.vacant), Structure.from_sites(ideal_host().vacant))


def test_cif_host_gives_the_published_number_of_arrangements() -> None:
    grid = GridSpec(
        supercell=(2, 2, 1),
        cations=("Ti3+",),
        cation_sites=("1a+2d",),
        anions=("F-",),
        anion_counts=(3,),
        undoped=False,
    )
    (cell,) = expand_grid(spec().read(), grid)
    assert (cell.formula, cell.arrangements) == ("Li25Zr11Ti1Cl69F3", 25_764_480)


@pytest.mark.parametrize("point", [(0.3198, 0, 0), (0, 0.3198, 0), (0.6802, 0.6802, 1.0), (-0.3198, 0, -1)])
def test_any_site_of_a_vacant_orbit_will_do(point: tuple[float, float, float]) -> None:
    orbit = spec(vacant={"6g": point}).read().vacant
    expected = [site for site in ideal_host().vacant if site.properties[WYCKOFF] == "6g"]
    assert same_points(Structure.from_sites(orbit), Structure.from_sites(expected))
    assert {str(site.specie) for site in orbit} == {"Li+"}


def test_p1_cif_with_one_label_an_atom(tmp_path: Path) -> None:
    """A CIF without symmetry, as relaxations leave them: every atom has a label of its own."""
    path = tmp_path / "p1.cif"
    ideal_host().structure.to(str(path))
    labels = {
        label: ideal_host().structure[index].properties[WYCKOFF]
        for index, label in enumerate(Structure.from_file(path).labels)
    }
    assert len(labels) == 27
    host = spec(cif=path.read_text(), labels=labels).read()
    assert same_points(host.structure, ideal_host().structure)
    assert Counter(site.properties[WYCKOFF] for site in host.vacant) == {"1b": 1, "2d'": 2, "6g": 6}


def test_partially_occupied_cif_is_read_but_not_neutralised() -> None:
    cif = CIF.replace("Zr1 Zr 0 0 0 1", "Zr1 Zr 0 0 0 0.9")
    assert not spec(cif=cif).read().is_ordered


def test_rounded_occupancies_are_normalised_noted_and_said() -> None:
    changes = {"name": "rounded", "cif": CIF.replace("Zr1 Zr 0 0 0 1", "Zr1 Zr 0 0 0 1.004")}
    with pytest.warns(InputWarning) as caught:
        host = spec(**changes).read()
    assert host.is_ordered
    assert host.notes == ("host 'rounded': site Zr1 at (0, 0, 0): occupancies sum to 1.0040, normalised to 1",)
    said = [str(warning.message) for warning in caught if warning.category is InputWarning]
    assert tuple(said) == host.notes
    assert host.supercell((2, 1, 1)).notes == host.notes


def test_a_real_excess_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^host 'my-lzc': site Zr1 at \(0, 0, 0\): occupancies sum to 1\.2000: at most"
    ):
        spec(cif=CIF.replace("Zr1 Zr 0 0 0 1", "Zr1 Zr 0 0 0 1.2")).read()


def test_mobile_ion_gets_its_canonical_name() -> None:
    assert spec(mobile="Li1+").read().mobile == "Li+"


# ---- the CIF travels in the specification ----


def test_path_becomes_text(tmp_path: Path) -> None:
    (tmp_path / "crystals").mkdir()
    (tmp_path / "crystals" / "host.cif").write_text(CIF)
    carried = spec(cif="crystals/host.cif").with_cif_text(tmp_path)
    assert carried == spec()
    assert carried.with_cif_text(Path("elsewhere")) == carried
    assert HostSpec(name="lzc").with_cif_text(tmp_path) == HostSpec(name="lzc")


def test_round_trip_through_json() -> None:
    again = HostSpec.model_validate_json(spec().model_dump_json())
    assert again == spec()
    assert again.fingerprint() == spec().fingerprint()
    assert same_points(again.read().structure, spec().read().structure)


# ---- fingerprints ----


def test_fingerprint_does_not_depend_on_path_name_or_comments(tmp_path: Path) -> None:
    prints = set()
    for name in ("a.cif", "b.cif"):
        (tmp_path / name).write_text(f"# {name}\n{CIF}")
        prints.add(spec(cif=name, name=name).with_cif_text(tmp_path).fingerprint())
    assert prints == {spec().fingerprint()}


@pytest.mark.parametrize(
    "changes",
    [
        {"cif": CIF.replace("0.3289", "0.3290")},
        {"cif": CIF.replace("_cell_length_c 5.9308", "_cell_length_c 5.9309")},
        {"labels": {**MAP["labels"], "Cl1": "6i'"}},
        {"vacant": {"1b": (0, 0, 0.5)}},
        {"vacant": {**MAP["vacant"], "6g": (0.3199, 0, 0)}},
        {"mobile": "Zr4+", "vacant": {}},
        {"vacant": {}},
    ],
)
def test_fingerprint_changes_with_what_changes_results(changes: dict[str, Any]) -> None:
    assert spec(**changes).fingerprint() != spec().fingerprint()


def test_mobile_ion_alone_changes_the_fingerprint() -> None:
    assert spec(vacant={}).fingerprint() != spec(vacant={}, mobile="Zr4+").fingerprint()


@pytest.mark.parametrize("zero", ["-0.0000000001", "0.9999999999", "1"])
def test_fingerprint_knows_that_cells_repeat(zero: str) -> None:
    shifted = CIF.replace("Zr1 Zr 0 0 0 1", f"Zr1 Zr 0 0 {zero} 1")
    assert spec(cif=shifted).fingerprint() == spec().fingerprint()


def test_built_in_hosts_have_fingerprints_of_their_own() -> None:
    assert len({HostSpec(name=name).fingerprint() for name in BUILT_IN}) == len(BUILT_IN)


# ---- what is refused, each in one line ----


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": {k: v for k, v in MAP["labels"].items() if k != "Zr2"}},
            "host 'my-lzc': CIF atom 'Zr2' has no label in the label map",
        ),
        (
            {"oxidation_states": {"Li": 1, "Cl": -1}},
            "host 'my-lzc': element Zr has no oxidation state",
        ),
        (
            {"labels": {**MAP["labels"], "Li1": "4h"}},
            "host 'my-lzc': 6 sites are labelled '4h': a multiple of 4 is allowed",
        ),
        (
            {"labels": {**MAP["labels"], "Zr1": "2d"}},
            "host 'my-lzc': 3 sites are labelled '2d': a multiple of 2 is allowed",
        ),
        (
            {"vacant": {"3g": (0.3198, 0, 0)}},
            "vacant site '3g' at [0.3198, 0.0, 0.0]: its orbit has 6 sites: 3 is allowed",
        ),
        (
            {"vacant": {"2d'": (0.33, 0.66, 0.9605)}},
            'vacant site "2d\'" at [0.33, 0.66, 0.9605]: its orbit has 6 sites: 2 is allowed',
        ),
        (
            {"vacant": {"1b": (0, 0, 0.02)}},
            "vacant site '1b' at [0.0, 0.0, 0.02]: its orbit has 2 sites: 1 is allowed",
        ),
        (
            {"vacant": {"6h": (0.3289, 0, 0.5)}},
            "host 'my-lzc': vacant site '6h' at [0.3289, 0.0, 0.5] is taken",
        ),
        (
            {"vacant": {"6g": (0.3198, 0, 0), "6g'": (0.33, 0, 0)}},
            "host 'my-lzc': vacant site \"6g'\" at [0.33, 0.0, 0.0] is taken",
        ),
        ({"mobile": "Na+"}, "host 'my-lzc': no mobile Na+ in it"),
        (
            {"oxidation_states": {"Li": 1, "Zr": 3, "Cl": -1}},
            "host 'my-lzc': its charges sum to -3 e: 0 is allowed",
        ),
    ],
)
def test_incomplete_or_contradictory_hosts(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        spec(**changes).read()
    assert str(refusal.value) == message


@pytest.mark.parametrize("text", ["", "no crystal", "data_x\n_cell_length_a what\n", CIF.replace("0.1103", "?")])
def test_unreadable_cif(text: str) -> None:
    with pytest.raises(InputError, match=r"^host 'my-lzc': its CIF is not readable \(.+\)$"):
        spec(cif=text).read()


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^host 'my-lzc': no such CIF: none\.cif$"):
        spec(cif="none.cif").with_cif_text(tmp_path)
    (tmp_path / "binary.cif").write_bytes(b"\x80\xff\x00\xfe")
    with pytest.raises(InputError, match=r"^host 'my-lzc': binary\.cif is not a text file$"):
        spec(cif="binary.cif").with_cif_text(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("lcz", "host 'lcz': allowed are lzc, lzc-aimd, lzc-rietveld, lzc-10tf-rietveld, or a CIF"),
        ({**MAP, "mobile": "Li"}, "ion 'Li': an element with its charge is allowed"),
        ({**MAP, "labels": {"Zr1": "a"}}, "labels.Zr1"),
        ({**MAP, "vacant": {"1a+1b": (0, 0, 0.5)}}, "vacant"),
        ({**MAP, "vacant": {"1b": (0, 0)}}, "vacant.1b"),
        ({**MAP, "lables": {}}, "lables"),
    ],
)
def test_malformed_sections(content: object, message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        HostSpec.model_validate(content)
    assert message in str(refusal.value)
