from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.ranking.criteria import CRITERIA, UNCERTAINTY_COLUMNS
from lzc_flows.report.candidates import IDENTITY, assessed
from lzc_flows.report.curves import Curves
from lzc_flows.report.page.comparison import OurConductivity
from lzc_flows.report.page.content import CandidateDetail, ReportContent, StageOrigin

# fmt: off
CATIONS = [
    "Mg2+", "Zn2+", "Fe2+", "Al3+", "Sc3+", "Ti3+", "V3+", "Fe3+", "Ga3+", "Y3+", "In3+", "Ge4+", "Sn4+", "P5+", "Nb5+",
]
# fmt: on

SPEC: dict[str, Any] = {
    "name": "made",
    "description": "made by hand",
    "host": {"name": "lzc"},
    "grid": {"supercell": [2, 2, 1], "cations": CATIONS, "undoped": True},
    "stages": {
        "order": {"engine": "nep", "protocol": {"shortlist": 8, "seed": 0}},
        "relax": {"engine": "chgnet", "protocol": {"fmax_ev_per_angstrom": 0.05}},
        "bvse": {"protocol": {"resolution_angstrom": 0.1}},
        "aimd": {"engine": "nep", "protocol": {"segments": [{"ensemble": "nvt", "ps": 20}]}, "seed": 1, "top": 3},
        "new-stage": {"number": 3},
    },
    "ranking": {"performance": {"barrier_1d": 1.0, "barrier_3d": 1.0}, "samples": 200},
}

VERSIONS = {"lzc-flows": "0.1.0", "Python": "3.11"}


def candidates(columns: int) -> pd.DataFrame:
    """So many columns of all cations, and the host; the first lacks its barriers, the second does not percolate."""
    random = np.random.default_rng(1)
    names = [(cation, f"{number} ×1 · F 6i ×3") for number in range(columns) for cation in CATIONS]
    table = pd.DataFrame([("pristine", "undoped"), *names], columns=["cation", "column"])
    table["key"] = [
        f"{cation}-{column.split()[0]}" for cation, column in zip(table["cation"], table["column"], strict=True)
    ]
    table["formula"] = [f"Li25Zr11{cation.rstrip('0123456789+')}1Cl69F3" for cation in table["cation"]]
    table["done"], table["stages_done"], table["stability"] = "order;relax;bvse", 3, None
    table = table.reindex(
        columns=[*IDENTITY, "done", "stages_done", "stability", *CRITERIA, *dict.fromkeys(UNCERTAINTY_COLUMNS)]
    )
    for name in ("barrier_1d", "barrier_3d"):
        table[name] = 0.3 + random.gamma(2, 0.05, len(table))
    table["cost_usd_per_kg"] = 6 + random.gamma(2, 3, len(table))
    table.loc[1, ["barrier_1d", "barrier_3d", "done", "stages_done"]] = [np.nan, np.nan, "order", 1]
    table.loc[2, ["barrier_1d", "barrier_3d"]] = np.inf
    return table


def crystal() -> Structure:
    return ideal_host().structure


def detail(key: str, words: str = "relaxed") -> CandidateDetail:
    line = {"type": "scatter", "mode": "lines", "name": f"along {words}", "line": {"color": "#0072B2", "width": 2}}
    axes = {"xaxis": {"title": {"text": "Lag (ps)"}}, "yaxis": {"title": {"text": "MSD (Å²)"}}, "showlegend": True}
    curves = Curves("aimd", "Mean squared displacement", words, [line | {"x": [0, 1, 2], "y": [0.0, 1.0, 2.5]}], axes)
    summary = {
        "key": key,
        "cation_axis": "Ti3+",
        "column": words,
        "formula": "Li6Zr3Cl18",
        "barrier_1d": 0.31,
        "corrections": [f"relax: handler: {words}"],
    }
    origin = StageOrigin("relax", f"{key}-result", "chgnet (0.4)", "uuid-1", 1, "2026-01-02T03:04:05.678", 7)
    return CandidateDetail(summary, {words: crystal(), "ordered": crystal()}, (curves,), (origin,))


@pytest.fixture(scope="session")
def make_content() -> Callable[..., ReportContent]:
    """A campaign of so many columns and the host, three of its candidates in detail."""

    def make(columns: int = 2, details: int = 3) -> ReportContent:
        table = assessed("made", SPEC, candidates(columns))
        return ReportContent(
            table=table,
            spec=SPEC,
            details=tuple(detail(key) for key in table.rows["key"].head(details)),
            failures={"Mg2+-0": {"relax": "the forces exploded"}},
            engines={"relax": ("chgnet (0.4)",)},
            corrections={"relax: handler: smaller steps": 2},
            counts={"relax": {"done": 30, "failed": 1}},
            conductivities=(
                OurConductivity(
                    "Ti³⁺ on 2d", "Li6Zr3Cl18", "molecular dynamics at 1100 K", 2000.0, (1800.0, 2300.0), 8.7
                ),
            ),
            versions=VERSIONS,
            latest="2026-01-02T03:04:05.678",
        )

    return make


@pytest.fixture(scope="session")
def content(make_content: Callable[..., ReportContent]) -> ReportContent:
    return make_content()


HOSTILE = (
    "</script><script>window.ran = 1</script><!--<script>\"'><img src=x onerror='window.ran = 1'>&amp;{{ 7 * 7 }}\u2028"
)


@pytest.fixture(scope="session")
def hostile() -> ReportContent:
    """A campaign of which every text tries to be more than text."""
    table = candidates(1)
    for name in IDENTITY:
        table[name] = [f"{number}{HOSTILE}" for number in range(len(table))]
    spec = SPEC | {"description": HOSTILE, "grid": {HOSTILE: HOSTILE}, "host": HOSTILE}
    found = assessed(HOSTILE, spec, table)
    keys = list(found.rows["key"])
    return ReportContent(
        table=found,
        spec=spec,
        details=(detail(keys[0], HOSTILE),),
        failures={keys[-1]: {HOSTILE: HOSTILE}},
        engines={"relax": (HOSTILE,)},
        corrections={HOSTILE: 1},
        counts={HOSTILE: {HOSTILE: 1}},
        conductivities=(OurConductivity(HOSTILE, HOSTILE, HOSTILE, 1.0, None, None),),
        versions=VERSIONS | {HOSTILE: HOSTILE},
        latest=HOSTILE,
    )
