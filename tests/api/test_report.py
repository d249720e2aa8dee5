from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lzc_flows.api.report import read_report
from lzc_flows.database.stores import CANDIDATES, Database
from lzc_flows.errors import InputError
from lzc_flows.report.page.document import report_html


@pytest.fixture
def ran(lzc: Callable, database: Database, tiny: Callable[[], dict[str, Any]], campaign_file: Callable) -> Database:
    assert lzc("run", campaign_file(tiny()), "-n", 1).code == 0
    return database


def test_a_report_holds_what_the_database_knows(ran: Database) -> None:
    sigmas = {"sigma_mS_cm": 2.0, "sigma_low_mS_cm": 1.0, "sigma_high_mS_cm": 3.0, "aimd_temperature_k": 1100.0}
    later = {"sigma_300k_mS_cm": 0.5, "corrections": ["relax: a: b"]}
    ran.collection(CANDIDATES).update_one({"cation": "Ti3+"}, {"$set": sigmas | later})
    content = read_report(ran, "tiny")
    assert (len(content.table.rows), content.table.ranked, content.failures) == (2, 2, {})
    assert content.counts["bvse"] == {"done": 2}
    assert [detail.key for detail in content.details] == list(content.table.rows["key"])
    (titanium,) = (detail for detail in content.details if detail.summary["cation"] == "Ti3+")
    assert list(titanium.crystals) == ["relaxed", "ordered, not relaxed"]
    assert [origin.stage for origin in titanium.origins] == ["order", "relax", "bvse"]
    assert all(origin.uuid and origin.key for origin in titanium.origins)
    assert titanium.origins[0].seed == 0
    assert "bvse" in [curves.stage for curves in titanium.curves]
    assert all("nep89" in engine for engines in content.engines.values() for engine in engines)
    assert content.corrections == {"relax: a: b": 1}
    hot, cold = content.conductivities
    assert (hot.kind, hot.interval, hot.sigma_mS_cm) == ("molecular dynamics at 1100 K", (1.0, 3.0), 2.0)
    assert (cold.kind, cold.interval) == ("continued to 300 K by a line", None)
    assert hot.cost_usd_per_kg == titanium.summary["cost_usd_per_kg"]
    assert content.latest == max(origin.completed_at for one in content.details for origin in one.origins)
    assert {"lzc-flows", "pymatgen", "jobflow"} <= set(content.versions)
    page = report_html(content)
    assert titanium.origins[2].uuid in page
    few = read_report(ran, "tiny", best=1)
    assert [detail.key for detail in few.details] == [content.details[0].key]


def test_a_campaign_that_is_not_there(database: Database) -> None:
    with pytest.raises(InputError, match="campaign 'none': not in the database"):
        read_report(database, "none")
