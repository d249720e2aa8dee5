"""Tags that do not go together: what VASP stops at, or would run and give nonsense, and what is not rehearsed.

Sources: the pages of the tags in VASP's wiki (https://www.vasp.at/wiki) and of the VTST code
(https://theory.cm.utexas.edu/vtsttools/neb.html). What custodian mends is said in VASP's own words, so that it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lzc_flows.rehearsal.electrons import default_bands
from lzc_flows.rehearsal.incar import VTST_TAGS
from lzc_flows.rehearsal.inputs import Inputs, image_folders
from lzc_flows.rehearsal.messages import Refusal, framed, refusal

Complaint = tuple[str, str]
"""A tag, and what is wrong with it."""

_MD_TAGS = ("TEBEG", "TEEND", "ANDERSEN_PROB", "LANGEVIN_GAMMA", "NHC_NCHAINS", "NHC_PERIOD", "CSVR_PERIOD")
_VTST_OPTIMISERS = [tag for tag in VTST_TAGS if tag not in {"ICHAIN", "LCLIMB", "LTANGENTOLD", "LDNEB", "LNEBCELL"}]
_VTST_BANDS = ("LCLIMB", "LTANGENTOLD", "LDNEB", "LNEBCELL", "SPRING", "EFIRST", "ELAST")
_SPIN_TAGS = ("MAGMOM", "NUPDOWN")
_NOT_REHEARSED = {
    "ML_LMLFF": "machine-learned force fields",
    "LNONCOLLINEAR": "noncollinear magnetism",
    "LSORBIT": "spin-orbit coupling",
    "LEPSILON": "linear response",
    "LCALCPOL": "polarisation",
    "LCALCEPS": "polarisation",
    "LOPTICS": "optics",
    "LCHIMAG": "magnetic response",
    "LNEBCELL": "bands that change the cell",
    "PSTRESS": "external pressure",
    "ICHAIN": "dimers and dynamical matrices",
}


def check(inputs: Inputs) -> list[str]:
    """Return VASP's warnings.

    Raises
    ------
    Refusal
        VASP stops, or the stand-in cannot rehearse it.
    """
    for complaints in _COMPLAINTS:
        for tag, text in complaints(inputs):
            raise refusal(text, tag)
    for stops in _STOPS:
        for text in stops(inputs):
            raise Refusal(text + "\n")
    return [framed("WARNING", text) for text in _warnings(inputs)]


def _ranges(inputs: Inputs) -> Iterator[Complaint]:
    for tag in ("EDIFF", "ENCUT", "NBLOCK", "SIGMA", "NBANDS", "NELECT"):
        if tag in inputs.tags and inputs.tags[tag] <= 0:
            yield tag, f"{tag} = {inputs.tags[tag]}; allowed are values above 0."
    for tag in ("POTIM", "TEBEG", "TEEND", "IMAGES", "NELM"):
        if inputs.tags.get(tag, 0) < 0:
            yield tag, f"{tag} = {inputs.tags[tag]}; allowed are values of at least 0."
    if inputs.tag("NSW") < -1:
        yield "NSW", "allowed are values of at least 0."
    # none at all leaves the density that the run starts from
    if 0 < inputs.tag("NELM") < inputs.tag("NELMIN"):
        yield "NELMIN", f"NELMIN = {inputs.tag('NELMIN')} is above NELM = {inputs.tag('NELM')}."


def _dynamics(inputs: Inputs) -> Iterator[Complaint]:
    if inputs.kind != "md":
        for tag in _MD_TAGS:
            if tag in inputs.tags:
                yield tag, f"{tag} belongs to molecular dynamics, IBRION = 0, but IBRION = {inputs.tag('IBRION')}."
        if inputs.tag("MDALGO") > 0:
            yield "MDALGO", f"MDALGO belongs to IBRION = 0, but IBRION = {inputs.tag('IBRION')}."
        if "SMASS" in inputs.tags and inputs.tag("IBRION") != 3:
            yield "SMASS", f"SMASS belongs to IBRION = 0 or 3, but IBRION = {inputs.tag('IBRION')}."
        return
    if "POTIM" not in inputs.tags:
        yield "POTIM", "molecular dynamics, IBRION = 0, needs a time step POTIM."
    if inputs.tag("POTIM") == 0:
        yield "POTIM", "molecular dynamics, IBRION = 0, needs a time step POTIM above 0."
    if inputs.tag("ISIF") > 2 and inputs.tag("MDALGO") in (0, 1, 2):
        yield "ISIF", f"MDALGO = {inputs.tag('MDALGO')} keeps the cell, ISIF = 0, 1 or 2; ISIF = 3 needs MDALGO = 3."
    if inputs.tag("MDALGO") == 2 and inputs.tag("SMASS") < 0:
        yield "SMASS", "the thermostat of MDALGO = 2 needs SMASS of at least 0."
    if inputs.tag("MDALGO") != 1 and inputs.tag("SMASS") >= 0 and min(inputs.tag("TEBEG"), inputs.tag("TEEND")) <= 0:
        yield "TEBEG", "a thermostat needs TEBEG and TEEND above 0."
    if inputs.tag("MDALGO") == 1 and "ANDERSEN_PROB" not in inputs.tags:
        yield "ANDERSEN_PROB", "the thermostat of MDALGO = 1 needs ANDERSEN_PROB."


def _relaxation(inputs: Inputs) -> Iterator[Complaint]:
    if inputs.tag("IBRION") == -1 and inputs.tag("NSW") > 0:
        yield "IBRION", f"IBRION = -1 moves no ions, but NSW = {inputs.tag('NSW')}."
    for tag in _VTST_OPTIMISERS:
        if tag in inputs.tags and tag != "IOPT" and inputs.tag("IOPT") == 0 and tag not in _VTST_BANDS:
            yield tag, f"{tag} belongs to the optimisers of VTST, but IOPT = 0."
    moves = inputs.kind in ("relax", "neb") and inputs.tag("NSW") > 0
    if moves and inputs.tag("IOPT") == 0 and inputs.tag("POTIM") == 0:
        yield "POTIM", "POTIM = 0 moves no ions, except with an optimiser of VTST, IOPT."
    if moves and inputs.tag("IOPT") > 0 and (inputs.tag("IBRION") != 3 or inputs.tag("POTIM") != 0):
        yield "IOPT", "the optimisers of VTST need IBRION = 3 and POTIM = 0, which keep VASP's own from moving ions."


def _band(inputs: Inputs) -> Iterator[Complaint]:
    images = inputs.tag("IMAGES")
    if images == 0:
        for tag in _VTST_BANDS:
            if tag in inputs.tags:
                yield tag, f"{tag} belongs to elastic bands, but there are no IMAGES."
        return
    if inputs.tag("IBRION") not in (1, 2, 3):
        yield "IBRION", f"IMAGES needs IBRION = 1, 2 or 3, but IBRION = {inputs.tag('IBRION')}."
    if inputs.tag("ISIF") > 2:
        yield "ISIF", "IMAGES keeps the cell: ISIF = 0, 1 or 2."
    if inputs.tags.get("LCLIMB", False) and inputs.tag("IBRION") == 2:
        yield "LCLIMB", "a climbing image needs an optimiser that follows forces: IBRION = 1 or 3, or IOPT."
    if inputs.tag("SPRING") > 0:
        yield "SPRING", "SPRING above 0 is a band that is not nudged, which is not rehearsed; it must be negative."
    folders = image_folders(inputs.folder, images)
    for folder in folders:
        if not (folder / "POSCAR").is_file():
            yield "IMAGES", f"IMAGES = {images} needs folders 00 to {images + 1:02d}, but {folder.name}/POSCAR lacks."
    if (inputs.folder / f"{images + 2:02d}").is_dir():
        yield (
            "IMAGES",
            f"IMAGES = {images} needs folders 00 to {images + 1:02d}, but there is {images + 2:02d} as well.",
        )


def _spin(inputs: Inputs) -> Iterator[Complaint]:
    atoms = sum(inputs.arrangement.counts)
    if inputs.tag("ISPIN") == 1:
        for tag in _SPIN_TAGS:
            if tag in inputs.tags:
                yield tag, f"{tag} belongs to a spin-polarised calculation, but ISPIN = 1."
    if "MAGMOM" in inputs.tags and len(inputs.tags["MAGMOM"]) != atoms:
        yield "MAGMOM", f"MAGMOM holds {len(inputs.tags['MAGMOM'])} numbers for {atoms} ions."
    if abs(inputs.tags.get("NUPDOWN", 0)) > inputs.tag("NELECT"):
        yield "NUPDOWN", f"NUPDOWN is above the number of electrons, {inputs.tag('NELECT'):g}."
    types = len(inputs.potentials)
    for tag in ("LDAUU", "LDAUJ", "LDAUL"):
        if tag in inputs.tags and not inputs.tags.get("LDAU", False):
            yield tag, f"{tag} belongs to LDAU = .TRUE."
        if tag in inputs.tags and len(inputs.tags[tag]) != types:
            yield tag, f"{tag} holds {len(inputs.tags[tag])} numbers for {types} types of ions."


def _unrehearsed(inputs: Inputs) -> Iterator[Complaint]:
    words = "is known to VASP but not rehearsed by this stand-in"
    for tag, what in _NOT_REHEARSED.items():
        if inputs.tags.get(tag):
            yield tag, f"{tag} = {inputs.tags[tag]} ({what}) {words}."
    if inputs.tag("IBRION") > 3:
        yield "IBRION", f"IBRION = {inputs.tag('IBRION')} {words}."
    if inputs.kind != "md":
        return
    if inputs.tag("MDALGO") > 2:
        yield "MDALGO", f"MDALGO = {inputs.tag('MDALGO')} {words}."
    if inputs.tags.get("ANDERSEN_PROB", 0) > 0:
        yield "ANDERSEN_PROB", f"ANDERSEN_PROB above 0 {words}."
    if inputs.tag("SMASS") < 0 and inputs.tag("SMASS") != -3:
        yield "SMASS", f"SMASS = {inputs.tag('SMASS'):g} {words}."
    if not inputs.arrangement.free.all():
        yield "IBRION", f"molecular dynamics with selective dynamics {words}."


def _charge(inputs: Inputs) -> Iterator[Complaint]:
    if inputs.tags.get("ICHARG", 0) in (1, 11) and not (inputs.folder / "CHGCAR").is_file():
        yield "ICHARG", f"ICHARG = {inputs.tags['ICHARG']} reads the charge density, but there is no file CHGCAR."


def _harris(inputs: Inputs) -> Iterator[str]:
    if inputs.tags.get("ICHARG", 0) >= 10 and inputs.tag("ISPIN") == 2 and inputs.tag("NSW") > 0:
        yield " Spin polarized Harris functional dynamics is a good joke ..."


def _tetrahedra(inputs: Inputs) -> Iterator[str]:
    points = len(inputs.mesh.points)
    if inputs.tag("ISMEAR") in (-5, -4) and points < 4:
        yield f" Tetrahedron method fails (number of k-points < 4)\n  NKPT = {points}"


def _bands(inputs: Inputs) -> Iterator[str]:
    least = inputs.tag("NELECT") / 2
    if inputs.tags.get("NBANDS", default_bands(inputs)) < least:
        yield framed("ERROR", f"The number of bands is not sufficient to hold all {inputs.tag('NELECT'):g} electrons.")


def _localisation(inputs: Inputs) -> Iterator[str]:
    if inputs.tags.get("LELF", False) and inputs.tags.get("KPAR", 1) > 1:
        yield " ELF: KPAR>1 not implemented, sorry."


def _warnings(inputs: Inputs) -> Iterator[str]:
    for potential in inputs.potentials:
        if inputs.tag("ENCUT") < potential.largest_cutoff_ev - 1e-6:
            yield (
                f"ENCUT = {inputs.tag('ENCUT'):g} eV is below ENMAX = {potential.largest_cutoff_ev:g} eV of "
                f"{potential.title}."
            )
    electrons = inputs.tag("NELECT")
    if inputs.tag("ISPIN") == 1 and round(electrons) % 2 == 1:
        yield f"The number of electrons, {electrons:g}, is odd, but the calculation is not spin polarized, ISPIN = 1."
    if str(inputs.tag("ALGO"))[:1].upper() in {"A", "D"} and inputs.tag("ISMEAR") < 0:
        yield "ALGO=A and IALGO=5X tend to fail with the tetrahedron method; please switch to ISMEAR=0."


_COMPLAINTS: tuple[Callable[[Inputs], Iterator[Complaint]], ...] = (
    _ranges,
    _dynamics,
    _relaxation,
    _band,
    _spin,
    _charge,
    _unrehearsed,
)
_STOPS: tuple[Callable[[Inputs], Iterator[str]], ...] = (_harris, _tetrahedra, _bands, _localisation)
