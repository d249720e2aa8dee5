from __future__ import annotations

import base64
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Structure

import lzc_flows
from lzc_flows.api import Campaign
from lzc_flows.database.stores import CAMPAIGNS, CANDIDATES, TASKS, Database
from lzc_flows.documents.bvse import BvseDoc
from lzc_flows.documents.order import OrderDoc
from lzc_flows.documents.relax import RelaxDoc
from lzc_flows.errors import InputError
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.writer import Writer


@pytest.fixture
def submitted(
    lzc: Callable, database: Database, tiny: Callable[[], dict[str, Any]], campaign_file: Callable
) -> Database:
    assert lzc("submit", campaign_file(tiny())).code == 0
    return database


def test_the_package_offers_campaigns_and_imports_them_late() -> None:
    assert lzc_flows.Campaign is Campaign
    with pytest.raises(AttributeError, match="no attribute 'Kampaign'"):
        _ = lzc_flows.Kampaign
    code = "import sys, lzc_flows; print({'pandas', 'pymatgen', 'pymongo'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_what_a_campaign_says_before_anything_has_run(submitted: Database) -> None:
    assert Campaign.list() == Campaign.list(submitted) == ["tiny"]
    campaign = Campaign("tiny", database=submitted)
    assert (len(campaign), repr(campaign)) == (2, "Campaign('tiny', 2 candidates)")
    table = campaign.candidates()
    assert table.index.name == "key"
    assert table["barrier_3d"].isna().all()
    assert table["barrier_3d"].dtype == float
    assert table.attrs["units"]["barrier_3d"] == "eV"
    assert table.attrs["units"]["diffusivity_cm2_s"] == "cm²/s"
    assert table.attrs["descriptions"]["formula"] == "Formula of the supercell."
    assert campaign.ranking()["missing"].eq("barrier_1d;barrier_3d").all()
    assert list(campaign.status().index) == ["order", "relax", "bvse"]
    assert campaign.status().loc["order", "READY"] == 2
    assert list(campaign.failures().columns) == ["key", "stage", "reason"]
    assert campaign.failures().empty
    candidate = campaign.candidate("Ti3")
    assert candidate.stages == []
    assert candidate.summary.formula == "Li7Zr2Ti1Cl17F1"
    assert repr(candidate) == f"Candidate({candidate.key!r}, done: nothing)"


def test_candidates_as_they_are_asked_for(submitted: Database) -> None:
    campaign = Campaign("tiny")
    campaign.candidates()
    titanium = campaign.candidate("Ti3").key
    numbers = {"barrier_3d": math.inf, "hops": 3, "sigma_mS_cm": 0.5}
    submitted.collection(CANDIDATES).update_one({"key": titanium}, {"$set": numbers})
    table = campaign.candidates("cation=none or hops>2", select="cation, barrier_3d, hops", sort="-hops")
    assert list(table.columns) == ["cation", "barrier_3d", "hops"]
    assert table.index.tolist()[0] == titanium
    assert table.loc[titanium, "barrier_3d"] == math.inf
    assert list(table["hops"].isna()) == [False, True]
    assert pd.isna(table["cation"].iloc[1])
    few = campaign.candidates(select=["hops"], sort=["hops"], limit=1)
    assert few.index.tolist() == [titanium]
    with pytest.raises(InputError, match="unknown field 'hopps'"):
        campaign.candidates("hopps>2")


def test_what_the_stages_left(submitted: Database, lzc: Callable, tmp_path: Path) -> None:
    assert lzc("run", "tiny", "-n", 1).code == 0
    campaign = Campaign("tiny")
    candidate = campaign.candidate("Ti3")
    assert candidate.stages == ["order", "relax", "bvse"]
    relaxed = candidate.structure()
    assert isinstance(relaxed, Structure)
    assert relaxed.composition.formula == candidate.structure("order").composition.formula
    order, relax, bvse = (candidate.document(stage) for stage in candidate.stages)
    assert isinstance(order, OrderDoc)
    assert isinstance(relax, RelaxDoc)
    assert isinstance(bvse, BvseDoc)
    assert relax.structure == relaxed
    assert (bvse.barrier_3d, bvse.field) == (candidate.summary.barrier_3d, None)
    landscape = candidate.landscape()
    assert landscape.energies_ev.shape == bvse.grid
    assert np.isclose(landscape.energies_ev.min(), bvse.minimum_ev, atol=1e-3)
    rows = json.loads(lzc("rank", "tiny", "--json").out)["rows"]
    ranking = campaign.ranking()
    assert ranking.index.tolist() == [row["key"] for row in rows]
    assert ranking["performance_cost"].tolist() == [row["performance_cost"] for row in rows]
    assert campaign.status().loc["bvse", "COMPLETED"] == 2
    for refused, named in (
        (lambda: candidate.structure("bvse"), "^stage 'bvse': has no crystal of its own; order, relax, aimd"),
        (lambda: candidate.document("aimd"), "stage aimd is not done yet; done: order, relax, bvse$"),
        (lambda: candidate.trajectory(tmp_path / "t.h5"), "stage aimd is not done yet"),
        (lambda: candidate.document("bsve"), "^stage 'bsve': allowed are order, relax, bvse, "),
    ):
        with pytest.raises(InputError, match=named):
            refused()
    assert not (tmp_path / "t.h5").exists()


def test_a_trajectory_comes_out_of_the_data_store_into_a_file(submitted: Database, tmp_path: Path) -> None:
    header = Header(("Li", "Cl"), 2.0, 10, "nep 1", "{}", 1, "0" * 16)
    positions = np.arange(24.0).reshape(4, 2, 3)
    with Writer.create(tmp_path / "run.h5", header) as writer:
        for number, now in enumerate(positions):
            writer.append(Frame(10 * number, 0.02 * number, now, 9 * np.eye(3), 300.0, 0.0, 0.0, 0.0))
    packed = base64.b64encode((tmp_path / "run.h5").read_bytes()).decode()
    task = {"uuid": "u", "index": 1, "output": {"trajectory": {"hdf5_base64": packed}}}
    with submitted.job_store() as store:
        store.update([task], save={"data": ["trajectory"]})
    Campaign("tiny").candidates()
    submitted.collection(CANDIDATES).update_one(
        {"cation": "Ti3+"}, {"$set": {"stages.aimd": {"uuid": "u", "index": 1}}}
    )
    candidate = Campaign("tiny").candidate("Ti3")
    found = candidate.trajectory(tmp_path / "copy.h5")
    assert np.allclose(found.positions, positions)
    submitted.collection(TASKS).update_one({"uuid": "u"}, {"$set": {"output.trajectory": None}})
    with pytest.raises(InputError, match="stage aimd kept no trajectory"):
        candidate.trajectory(tmp_path / "none.h5")


def test_an_unknown_name_is_refused_with_the_known_ones(submitted: Database) -> None:
    with pytest.raises(InputError, match=r"^campaign 'tyni': not in the database; it holds tiny$"):
        Campaign("tyni")
    with pytest.raises(InputError, match=r"^candidate 'W6': neither a file nor in the database; it holds "):
        Campaign("tiny").candidate("W6")


def test_a_notebook_shows_text_as_text(submitted: Database) -> None:
    evil = "<script>alert(1)</script>"
    Campaign("tiny").candidates()
    submitted.collection(CANDIDATES).update_one({"cation": "Ti3+"}, {"$set": {"column": evil}})
    shown = Campaign("tiny").candidate("Ti3")._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "cost_usd_per_kg ($/kg)" in shown
    submitted.collection(CAMPAIGNS).insert_one({"name": evil, "spec": {"stages": {evil: {"engine": "nep"}}}})
    shown = Campaign(evil)._repr_html_()
    assert "<script>" not in shown
    assert shown.count("&lt;script&gt;") == 2
    assert "<td>relax</td><td>2</td>" in Campaign("tiny")._repr_html_()
