from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lzc_flows.errors import InputError
from lzc_flows.settings import Settings, get_settings


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
    known = sorted(f"LZC_{name.upper()}" for name in Settings.model_fields)
    assert str(refusal.value) == f"unknown setting LZC_MONGO_URL: allowed are {', '.join(known)}"


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


# ---- a secret in a file ----


@pytest.fixture
def secret_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """LZC_MONGO_URI_FILE, with a URI that only its owner can read."""
    file = tmp_path / "uri"
    file.write_text("\tmongodb://curie:Sesame@db \n")
    file.chmod(0o600)
    monkeypatch.setenv("LZC_MONGO_URI_FILE", str(file))
    return file


def test_the_uri_of_a_file(secret_file: Path) -> None:
    settings = get_settings()
    assert settings.mongo_uri is not None
    assert settings.mongo_uri.get_secret_value() == "mongodb://curie:Sesame@db"
    assert "Sesame" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
def test_a_file_that_others_can_read_or_write_is_refused(secret_file: Path, mode: int) -> None:
    secret_file.chmod(mode)
    with pytest.raises(InputError) as refusal:
        get_settings()
    assert str(refusal.value) == (
        f"setting LZC_MONGO_URI_FILE: {secret_file} can be read or written by others (mode {mode:04o}): "
        "run `chmod 600` on it"
    )


def test_a_file_of_another_user_is_refused(secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: secret_file.stat().st_uid + 1)
    with pytest.raises(InputError, match=r"LZC_MONGO_URI_FILE: .* belongs to another user: make one of your own$"):
        get_settings()


def test_a_file_and_a_variable_are_refused(secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZC_MONGO_URI", "mongodb://curie:Sesame@db")
    with pytest.raises(InputError) as refusal:
        get_settings()
    assert str(refusal.value) == "setting LZC_MONGO_URI_FILE: LZC_MONGO_URI is set too: unset one of them"


def test_what_is_no_file_with_a_text_is_refused(secret_file: Path) -> None:
    """A named pipe is not waited for."""
    secret_file.write_bytes(b"\xff\xfe")
    cases = {"is not a text": lambda: None, "is empty": lambda: secret_file.write_text("\n")}
    cases["cannot be read: No such file or directory"] = secret_file.unlink
    cases["is not a file"] = lambda: os.mkfifo(secret_file, 0o600)
    cases["a directory"] = lambda: (secret_file.unlink(), secret_file.mkdir())
    for said, change in cases.items():
        change()
        get_settings.cache_clear()
        with pytest.raises(InputError, match=f"LZC_MONGO_URI_FILE: .*{said}"):
            get_settings()


# ---- when to stop ----


@pytest.mark.parametrize(
    ("ours", "slurms", "stop"),
    [
        (None, None, None),
        ("1800000000", None, 1800000000 - 120.0),
        (None, "1800000500", 1800000500 - 120.0),
        ("1800000000", "1800000500", 1800000000 - 120.0),
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
