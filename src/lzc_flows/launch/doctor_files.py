"""Whether the files of FireWorks and jobflow are there, can be read, and name lzc's own server and database."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from lzc_flows.database.address import redacted
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.launch.doctor_database import server_uri
from lzc_flows.launch.findings import Finding
from lzc_flows.settings import get_settings, private_file_refusal

NONE = "none for lpad, rlaunch and qlaunch; `lzc init` writes them"

_REWRITE = "`lzc init --force` writes it anew"


def fireworks_files() -> dict[str, Any] | None:
    """Return what FW_config.yaml says, that of FW_CONFIG_FILE; None where the variable is not set.

    Raises
    ------
    InputError
        It cannot be read.
    """
    file = os.environ.get("FW_CONFIG_FILE")
    return None if file is None else read_mapping(Path(file))


def _require_fireworks() -> None:
    """Raise `InputError` where FireWorks does not take its settings, which it reads at its import."""
    try:
        import fireworks  # noqa: F401
    except Exception as error:  # whatever is wrong with them
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"FireWorks does not take its settings ({reason}): mend the file of FW_CONFIG_FILE") from None


def read_mapping(file: Path) -> dict[str, Any]:
    """Return what a YAML file holds.

    Raises
    ------
    InputError
        It is not there, or no mapping; what it holds is not told.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): {_REWRITE}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{file} is not what FireWorks reads: {_REWRITE}")
    return content


def qadapter_files() -> list[Path]:
    """Return the queue adapters that FW_config.yaml names, and the GPU variant beside the first if it is there.

    There are none where FW_config.yaml cannot be used, which `fireworks_findings` tells.
    """
    try:
        config = fireworks_files() or {}
        _require_fireworks()
    except InputError:
        return []
    named = config.get("QUEUEADAPTER_LOC")
    if not named:
        return []
    first = Path(str(named))
    gpu = first.with_name("my_qadapter_gpu.yaml")
    return [first, gpu] if gpu.is_file() and gpu != first else [first]


def fireworks_findings() -> list[Finding]:
    """Return whether FireWorks' files can be used, each with one line, and whether their secrets are kept."""
    try:
        config = fireworks_files()
        _require_fireworks()
    except InputError as error:
        return [Finding.lacking("FireWorks files", str(error), needed=True)]
    if config is None:
        return [Finding("FireWorks files", "ok", NONE)]
    found = [_config(config)]
    looks = {"LaunchPad file": ("LAUNCHPAD_LOC", _launchpad), "worker file": ("FWORKER_LOC", _fworker)}
    for name, (key, look) in looks.items():
        file = config.get(key)
        if not file:
            found.append(Finding.lacking(name, f"FW_config.yaml has no {key}: {_REWRITE}", needed=True))
        else:
            found.append(Finding.of(name, lambda look=look, file=file: look(Path(str(file))), needed=True))  # type: ignore[misc]
    return [*found, _secrets(config)]


def _config(config: Mapping[str, Any]) -> Finding:
    """Return whether FireWorks takes this FW_config.yaml and no other."""
    name, file = "FireWorks files", Path(os.environ["FW_CONFIG_FILE"])
    for folder in (Path.cwd(), Path.home() / ".fireworks"):
        other = folder / "FW_config.yaml"
        if other.is_file() and not other.samefile(file):
            return Finding.lacking(
                name, f"FireWorks takes {other} before it: remove that one", needed=True, found=str(file)
            )
    ping_s, lost_s = (
        config.get(key, default) for key, default in (("PING_TIME_SECS", 3600), ("RUN_EXPIRATION_SECS", 14400))
    )
    told = f"{file}; a job that says nothing for {lost_s} s is lost, it says that it lives every {ping_s} s"
    return Finding(name, "ok", told)


def _launchpad(file: Path) -> str:
    """Return where my_launchpad.yaml leads; it has to be lzc's own server and database."""
    content = read_mapping(file)
    host, name = str(content.get("host")), content.get("name")
    if not content.get("uri_mode"):
        host = f"mongodb://{host}:{content.get('port') or 27017}"
    require_ours(str(file), host, name)
    return f"{file}: {redacted(host)}, database {name}"


def require_ours(file: str, uri: str, database: object) -> None:
    """Raise `InputError` where a file names another server or database than lzc's; user and password are not told."""
    ours = get_settings().mongo_database
    if database != ours:
        raise InputError(f"{file} has database {database}, lzc has {ours}: {_REWRITE}, or set LZC_MONGO_DATABASE")
    try:
        server = server_uri()
    except (InputError, CalculationError):
        return  # told of the database itself
    if server is None:
        raise InputError(
            f"{file} has the server at {redacted(uri)}, the embedded one does not run: `lzc init --embedded --force` "
            "starts it and writes its address"
        )
    if not _is_same(uri, server):
        where = redacted(server.get_secret_value())
        raise InputError(f"{file} has the server at {redacted(uri)}, lzc has {where}: {_REWRITE}")


def _is_same(uri: str, server: SecretStr) -> bool:
    def hosts(text: str) -> set[str]:
        return set(redacted(text).lower().split("://")[-1].split(","))

    return hosts(uri) == hosts(server.get_secret_value())


def _fworker(file: Path) -> str:
    from fireworks import FWorker

    read_mapping(file)
    try:
        worker = FWorker.from_file(str(file))
    except Exception:  # whatever is wrong with it
        raise InputError(f"{file} is not what FireWorks reads: {_REWRITE}") from None
    return f"{file}: {worker.name}"


def _secrets(config: Mapping[str, Any]) -> Finding:
    """Return whether others can read a password in a file of FireWorks or jobflow; lzc refuses its own at once."""
    name, kept = "secrets", []
    for file in (config.get("LAUNCHPAD_LOC"), os.environ.get("JOBFLOW_CONFIG_FILE")):
        path = Path(str(file)) if file else None
        if path is None or not path.is_file() or not _has_password(path):
            continue
        refused = private_file_refusal(path.stat())
        if refused:
            return Finding.lacking(name, f"{path} holds a password and {refused}", needed=True)
        kept.append(path.name)
    own = os.environ.get("LZC_MONGO_URI_FILE")
    told = [*kept, *([Path(own).name] if own else [])]
    return Finding(name, "ok", f"{', '.join(told)}: for you alone" if told else "no file holds a password")


def _has_password(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True  # it is not certain that there is none
    return "password" in text.lower() or "@" in text


def job_store_finding() -> Finding:
    """Return where results go; jobs with large data fail at their end in a store that has no place for these."""
    name = "job store"
    own = f"lzc's own workers: collections tasks and tasks_data of {get_settings().mongo_database}"
    try:
        from jobflow import SETTINGS
    except Exception as error:  # whatever is wrong with its file; the message may hold an address
        hint = f"jobflow's settings cannot be read ({type(error).__name__}): mend the file of JOBFLOW_CONFIG_FILE"
        return Finding.lacking(name, hint, needed=True)
    if "JOB_STORE" not in SETTINGS.model_fields_set:
        return Finding(name, "ok", f"{own}; none for rlaunch (`lzc init` writes one)")
    store: Any = SETTINGS.JOB_STORE
    if "data" not in store.additional_stores:
        hint = (
            f"{SETTINGS.CONFIG_FILE} has no additional store `data`: under rlaunch, bvse, aimd and cineb would fail at "
            f"their end; {_REWRITE}"
        )
        return Finding(name, "warning", own, hint)
    try:
        for part in (store.docs_store, store.additional_stores["data"]):
            require_ours(str(SETTINGS.CONFIG_FILE), _uri_of(part), getattr(part, "database", None))
    except InputError as error:
        return Finding(name, "warning", own, f"for rlaunch, {error}")
    return Finding(name, "ok", f"{own}; for rlaunch {SETTINGS.CONFIG_FILE}, which has `data`")


def _uri_of(store: Any) -> str:
    uri = getattr(store, "uri", None)
    return uri or f"mongodb://{getattr(store, 'host', '')}:{getattr(store, 'port', '')}"


def command_of(rocket_launch: object) -> str:
    """Return the program that a queue adapter's `rocket_launch` starts.

    Raises
    ------
    InputError
        There is none, or it is not on this machine.
    """
    try:
        words = shlex.split(str(rocket_launch or ""))
    except ValueError as error:
        raise InputError(f"its rocket_launch is no command ({str(error).lower()}): {_REWRITE}") from None
    program = words[1] if words[:1] == ["exec"] and len(words) > 1 else next(iter(words), "")
    if shutil.which(program) is None:
        raise InputError(f"its rocket_launch starts {program!r}, which is not there: {_REWRITE}")
    return program
