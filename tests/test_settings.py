from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lzc_flows.errors import InputError
from lzc_flows.settings import WALLTIME_MARGIN_S, Settings, get_settings


@pytest.fixture(autouse=True)
def _fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No LZC_ variable of the caller's, and nothing remembered from or for another test."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LZC_{name.upper()}", raising=False)
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_defaults_need_no_environment() -> None:
    settings = get_settings()
    assert settings.mongo_uri is None
    assert settings.mongo_database == "lzc_flows"
    assert settings.mongo_timeout_s == 5.0
    assert settings.campaigns_dir == Path.cwd() / "campaigns"
    assert settings.models_dir.is_absolute()


@pytest.mark.parametrize("name", ["campaigns_dir", "models_dir"])
def test_folders_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """A job runs in a directory of its own, where a relative path would be another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for given, expected in [("here", tmp_path / "here"), ("~/there", tmp_path / "home" / "there")]:
        monkeypatch.setenv(f"LZC_{name.upper()}", given)
        get_settings.cache_clear()
        assert getattr(get_settings(), name) == expected


def test_variables_are_read_and_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LZC_MONGO_URI", "mongodb://user:secret@db:27017")
    monkeypatch.setenv("LZC_MONGO_TIMEOUT_S", "0.5")
    monkeypatch.setenv("LZC_CAMPAIGNS_DIR", str(tmp_path))
    settings = get_settings()
    assert settings.mongo_uri is not None
    assert settings.mongo_uri.get_secret_value() == "mongodb://user:secret@db:27017"
    assert (settings.mongo_timeout_s, settings.campaigns_dir) == (0.5, tmp_path)


def test_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZC_MONGO_URI", "mongodb://user:secret@db:27017")
    assert "secret" not in repr(get_settings()) + str(get_settings()) + get_settings().model_dump_json()


def test_settings_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("LZC_MONGO_DATABASE", "other")
    assert get_settings() is first


def test_misspelt_variable_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZC_MONGO_URL", "mongodb://db")
    with pytest.raises(InputError) as refusal:
        get_settings()
    assert str(refusal.value) == (
        "unknown setting LZC_MONGO_URL: allowed are LZC_CAMPAIGNS_DIR, LZC_DFT_FROZEN_S, LZC_MODELS_DIR, "
        "LZC_MONGO_DATABASE, LZC_MONGO_TIMEOUT_S, LZC_MONGO_URI, LZC_REHEARSAL_FAULTS, LZC_WALLTIME_END_S"
    )


def test_other_programs_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLZC_MONGO_URL", "x")
    monkeypatch.setenv("MONGO_URI", "x")
    assert get_settings().mongo_uri is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LZC_MONGO_TIMEOUT_S", "soon"),
        ("LZC_MONGO_TIMEOUT_S", "0"),
        ("LZC_MONGO_TIMEOUT_S", "-1"),
        ("LZC_MONGO_TIMEOUT_S", "nan"),
        ("LZC_MONGO_DATABASE", ""),
        ("LZC_WALLTIME_END_S", "tomorrow"),
        ("LZC_WALLTIME_END_S", "nan"),
        ("LZC_WALLTIME_END_S", "-1"),
        ("LZC_WALLTIME_END_S", "86400"),  # a length of time is no time since the epoch
    ],
)
def test_wrong_values_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=rf"^setting {name}: .+$"):
        get_settings()


def test_unknown_keys_are_refused_in_python_too() -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Settings(mongo_url="mongodb://db")  # type: ignore[call-arg]


# ---- when to stop ----


@pytest.mark.parametrize(
    ("ours", "slurms", "stop"),
    [
        (None, None, None),
        ("1800000000", None, 1800000000 - WALLTIME_MARGIN_S),
        (None, "1800000500", 1800000500 - WALLTIME_MARGIN_S),
        ("1800000000", "1800000500", 1800000000 - WALLTIME_MARGIN_S),
        ("inf", "1800000500", None),
        (None, "inf", None),
        (None, "Unknown", None),
        (None, "nan", None),
        (None, "0", None),
        (None, "", None),
    ],
)
def test_a_long_run_stops_a_margin_before_the_batch_job_ends(
    monkeypatch: pytest.MonkeyPatch, ours: str | None, slurms: str | None, stop: float | None
) -> None:
    """Our own variable comes first; what SLURM says is taken where it is a time."""
    for name, value in (("LZC_WALLTIME_END_S", ours), ("SLURM_JOB_END_TIME", slurms)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert get_settings().stop_at_s == stop
