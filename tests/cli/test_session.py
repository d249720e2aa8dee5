from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lzc_flows.cli.session import Session
from lzc_flows.database.stores import Database
from lzc_flows.errors import InputError

Tiny = Callable[[], dict[str, Any]]


def test_a_campaign_by_name_is_the_one_of_its_file(
    database: Database,
    tiny: Tiny,
    campaign_file: Callable,
    own_host: Callable[[float], dict[str, Any]],
    lzc: Callable,
    tmp_path: Path,
) -> None:
    """Also with a host of one's own: the CIF's text is in the database."""
    host = own_host(0.0)
    (tmp_path / "mine.cif").write_text(host["cif"])
    content = tiny() | {"host": host | {"cif": "mine.cif"}}
    content["grid"] = {"supercell": [1, 1, 1], "cations": ["Hf4+"], "cation_sites": ["1a"]}
    path = campaign_file(content)
    result = lzc("submit", path)
    assert result.code == 0, result.err
    (tmp_path / "mine.cif").unlink()
    by_name = Session("tiny")
    assert by_name.name == "tiny"
    assert by_name.campaign.spec.host.cif == host["cif"]
    assert len(by_name.campaign.candidates) == 2
    with pytest.raises(InputError, match=r"no such CIF: mine\.cif$"):
        _ = Session(str(path)).campaign


def test_everything_of_a_campaign_lies_below_its_folder(
    database: Database, tiny: Tiny, campaign_file: Callable, tmp_path: Path
) -> None:
    session = Session(str(campaign_file(tiny())))
    assert session.folder == tmp_path / "campaigns" / "tiny"
    setting = session.setting(3)
    assert (setting.name, setting.folder, setting.workers) == ("tiny", session.folder, 3)
    assert setting.database.name == database.name
    assert setting.launchpad.name == database.name
