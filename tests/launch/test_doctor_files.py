from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from lzc_flows.database.stores import Database
from lzc_flows.launch.configuration import Answers, ServerChoice
from lzc_flows.launch.configuration_files import configuration_files
from lzc_flows.launch.configuration_write import write_configuration
from lzc_flows.launch.doctor_files import NONE, fireworks_findings
from lzc_flows.launch.findings import Finding


@pytest.fixture
def folder(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of `lzc init` for the database of this test."""
    folder = tmp_path / "launchpad"
    server = ServerChoice(database.uri, database.name)
    write_configuration(folder, configuration_files(folder, Answers(), server))
    monkeypatch.setenv("FW_CONFIG_FILE", str(folder / "FW_config.yaml"))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(folder / "jobflow.yaml"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return folder


def found() -> dict[str, Finding]:
    return {finding.name: finding for finding in fireworks_findings()}


def change(file: Path, **values: object) -> None:
    content = yaml.safe_load(file.read_text()) | values
    file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))


def test_without_files_nothing_is_wrong(set_lzc: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FW_CONFIG_FILE", raising=False)
    with set_lzc():
        assert fireworks_findings() == [Finding("FireWorks files", "ok", NONE)]


def test_the_files_of_init_are_well(folder: Path) -> None:
    findings = found()
    assert {finding.status for finding in findings.values()} == {"ok"}
    assert "it says that it lives every 60 s" in findings["FireWorks files"].found
    assert findings["worker file"].found == f"{folder}/my_fworker.yaml: cluster"
    assert findings["secrets"].found == "no file holds a password"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "other"}, r"has database other, lzc has test_\w+: "),
        (
            {"host": "mongodb://curie:Sesame@elsewhere/"},
            r"has the server at mongodb://elsewhere, lzc has mongodb://127",
        ),
        ({"uri_mode": False, "host": "elsewhere", "port": 1}, r"has the server at mongodb://elsewhere:1, lzc has"),
        ({"host": None}, r"has the server at "),
    ],
)
def test_a_launchpad_of_another_server(folder: Path, changes: dict[str, object], said: str) -> None:
    change(folder / "my_launchpad.yaml", **changes)
    finding = found()["LaunchPad file"]
    assert finding.status == "missing"
    assert re.search(said, finding.hint)
    assert "`lzc init --force` writes it anew" in finding.hint
    assert "Sesame" not in finding.hint


def test_files_that_are_gone_or_broken(folder: Path) -> None:
    (folder / "my_launchpad.yaml").unlink()
    (folder / "my_fworker.yaml").write_text("name: x\n")
    findings = found()
    assert "cannot be read (No such file or directory)" in findings["LaunchPad file"].hint
    assert "is not what FireWorks reads" in findings["worker file"].hint
    change(folder / "FW_config.yaml", FWORKER_LOC=None)
    assert "FW_config.yaml has no FWORKER_LOC" in found()["worker file"].hint
    (folder / "FW_config.yaml").write_text("- 1")
    assert [finding.status for finding in found().values()] == ["missing"]
    (folder / "FW_config.yaml").unlink()
    assert "cannot be read" in found()["FireWorks files"].hint


@pytest.mark.parametrize("place", ["FW_config.yaml", "home/.fireworks/FW_config.yaml"])
def test_a_file_that_fireworks_takes_before_ours(folder: Path, tmp_path: Path, place: str) -> None:
    other = tmp_path / place
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("PING_TIME_SECS: 1\n")
    finding = found()["FireWorks files"]
    assert (finding.status, finding.hint) == ("missing", f"FireWorks takes {other} before it: remove that one")


def test_a_password_that_others_can_read(folder: Path) -> None:
    files = configuration_files(folder, Answers(), ServerChoice(SecretStr("mongodb://a:Sesame@h/"), "x"))
    for name in ("my_launchpad.yaml", "jobflow.yaml"):
        (folder / name).write_text(files[name].text)
    assert found()["secrets"].found == "my_launchpad.yaml, jobflow.yaml: for you alone"
    (folder / "my_launchpad.yaml").chmod(0o604)
    finding = found()["secrets"]
    assert finding.status == "missing"
    assert finding.hint == (
        f"{folder}/my_launchpad.yaml holds a password and can be read or written by others (mode 0604): "
        "run `chmod 600` on it"
    )
