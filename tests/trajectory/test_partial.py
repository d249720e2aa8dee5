from __future__ import annotations

from pathlib import Path

import pytest

from lzc_flows.trajectory.partial import written_whole


def test_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x"
    with written_whole(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(ZeroDivisionError), written_whole(path) as partial:
        partial.write_text(str(1 / 0))
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_what_a_kill_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").write_text("left")
    with written_whole(tmp_path / "x") as partial:
        partial.write_text("new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("x", "new")]
