"""The embedded MongoDB server, for machines without one.

It is SecantusDB's daemon `secantusd-py` (MongoDB's wire protocol on the WiredTiger engine).
It is GPL software and therefore only ever a separate process. It listens on the loopback interface without
passwords: on a machine shared with people you do not trust, use a MongoDB server with users instead.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from lzc_flows.errors import CalculationError, InputError, InputWarning
from lzc_flows.files import write_atomically
from lzc_flows.processes import started_s_after_boot

INTERNAL_ERROR = 1
"""MongoDB's code of an error of the server's own."""

LEAST_FREE_BYTES = 64 * 2**20
"""The embedded server is not started with less on its disk."""

_DAEMON = "secantusd-py"
_LOOPBACK = "127.0.0.1"
_CACHE_SIZE = "1G"  # an upper limit, taken only as the data grow
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 60.0
_LOCK_TIMEOUT_S = _START_TIMEOUT_S + _STOP_TIMEOUT_S
_POLL_S = 0.02
_PORTS = range(20000, 32768)
_CONFIG = b"# The command line of the daemon says everything; this file keeps it from looking for another one.\n"


@dataclass(frozen=True)
class ServerInfo:
    """A running embedded server: process id, port on 127.0.0.1, URI and folder of its data."""

    pid: int
    port: int
    uri: str
    data_dir: Path


class _Record(BaseModel):
    """What `server.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int = Field(gt=0)
    port: int = Field(gt=0, lt=65536)
    created_s_after_boot: float
    data_dir: str

    def info(self) -> ServerInfo:
        return ServerInfo(self.pid, self.port, _loopback_uri(self.port), Path(self.data_dir))


@dataclass(frozen=True)
class _Files:
    """Where the embedded server of a campaigns folder keeps what."""

    root: Path
    data: Path
    log: Path
    record: Path
    port: Path
    config: Path
    lock: Path

    @classmethod
    def of(cls, folder: Path) -> _Files:
        root = folder.resolve() / "db"
        names = ("data", "server.log", "server.json", "port", "secantusd.toml", "lock")
        return cls(root, *(root / name for name in names))


def find_server(folder: Path) -> ServerInfo | None:
    """Return the embedded server of `folder` (a campaigns folder) if it runs on this machine.

    A record counts only if its process is alive, was created at the recorded time, is SecantusDB's daemon and
    has this folder's data: neither a recycled process id nor a copied folder can be mistaken for the server.
    """
    files = _Files.of(folder)
    running = _running(files)
    return None if running is None else running[1].info()


def start_server(folder: Path) -> ServerInfo:
    """Return the embedded server of `folder`, started if it does not run; it answers when this returns.

    Starters at the same time end with one server. The port of before is taken again when it is free, so that clients
    which are still running and files that name it find the server again; a warning names another one.

    Raises
    ------
    InputError
        SecantusDB is not installed, or `folder` cannot be written, or its disk is nearly full.
    CalculationError
        The server died at its start or does not answer within 30 s.
    """
    running = find_server(folder)
    if running is not None and _answers(running.uri, timeout_s=1.0) and not _fails(running.uri):
        return running
    files = _Files.of(folder)
    with _readable_os_errors(files), _locked(files):
        found = _running(files)
        if found is not None and _fails(_loopback_uri(found[1].port)):
            _end(found[0])
            found = None
        if found is None:
            return _launch(files)
        running = found[1].info()
        if not _answers(running.uri, _START_TIMEOUT_S):
            raise CalculationError(
                f"the embedded database (process {running.pid}) does not answer: "
                f"run `lzc db stop` and try again; its log is {files.log}"
            )
        return running


def is_broken(folder: Path) -> bool:
    """Return whether the embedded server of `folder` runs but cannot even read, as after its disk was full."""
    running = find_server(folder)
    return running is not None and _fails(running.uri)


def stop_server(folder: Path) -> bool:
    """Stop the embedded server of `folder` by SIGTERM (SIGKILL after 60 s); return whether one was running.

    Only a process that `find_server` would name is signalled. Acknowledged writes survive either signal.

    Raises
    ------
    InputError
        The server belongs to another user, or `folder` cannot be written.
    """
    files = _Files.of(folder)
    if not os.path.exists(files.record):
        return False
    with _readable_os_errors(files), _locked(files):
        running = _running(files)
        if running is not None:
            _end(running[0])
        files.record.unlink(missing_ok=True)
    return running is not None


def _answers(uri: str, timeout_s: float) -> bool:
    milliseconds = max(1, int(timeout_s * 1000))
    client: MongoClient
    with MongoClient(uri, serverSelectionTimeoutMS=milliseconds, socketTimeoutMS=milliseconds) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
        return True


def _fails(uri: str) -> bool:
    """Return whether a server answers to a question with an internal error; a ping it may still answer."""
    client: MongoClient
    with MongoClient(uri, serverSelectionTimeoutMS=1000, socketTimeoutMS=10_000) as client:
        try:
            client["lzc_flows"]["meta"].find_one()
        except OperationFailure as error:
            return error.code == INTERNAL_ERROR
        except PyMongoError:
            return False
        return False


def _require_space(files: _Files) -> None:
    """Refuse to start where the disk is nearly full: a start there spoils the data."""
    free = shutil.disk_usage(files.root).free
    if free < LEAST_FREE_BYTES:
        raise InputError(
            f"disk full: {free // 2**20} MiB free at {files.root}, the embedded database needs at least "
            f"{LEAST_FREE_BYTES // 2**20} MiB: free some space"
        )


def _launch(files: _Files) -> ServerInfo:
    """Start the daemon; the caller holds the lock and has seen that none runs."""
    _require_space(files)
    command = [
        *(daemon_path(), "--config", str(files.config), "--host", _LOOPBACK, "--storage-path", str(files.data)),
        *("--sync-on-commit", "--cache-size", _CACHE_SIZE, "--log-level", "WARNING"),
    ]
    files.data.mkdir(parents=True, exist_ok=True)
    write_atomically(files.config, _CONFIG)
    before = _last_port(files)
    port = _free_port(before)
    while True:
        with files.log.open("ab") as log:
            log_start = log.tell()
            process = subprocess.Popen(
                [*command, "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=files.root,
                start_new_session=True,  # neither Ctrl-C nor the end of the command's terminal reaches it
            )
        try:
            _write_record(files, process.pid, port)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if _wait_until_ready(process, port, _START_TIMEOUT_S):
            if before not in (0, port):
                warnings.warn(_moved(before, port), InputWarning, stacklevel=2)
            # reaps the daemon should it end before this process does
            threading.Thread(target=process.wait, name=_DAEMON, daemon=True).start()
            return ServerInfo(process.pid, port, _loopback_uri(port), files.data)
        reason = _last_line(files.log, log_start) or f"exit status {process.returncode}"
        files.record.unlink(missing_ok=True)
        if os.strerror(errno.EADDRINUSE) not in reason:  # else someone took the port in the meantime
            raise _death(files, reason)
        port = _free_port(0)


def _moved(before: int, port: int) -> str:
    return (
        f"port {before} of the embedded database is taken by another program: it answers at port {port} from now on; "
        "`lzc init --force` writes that into the files of FireWorks' own programs"
    )


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, timeout_s: float) -> bool:
    """Return whether the daemon answers (True) or has died (False)."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        # its own socket is asked for, because any process may answer on a port
        if _listens(process.pid, port) and _answers(_loopback_uri(port), timeout_s=1.0):
            return True
        time.sleep(_POLL_S)
    # not killed: it may be reading back a long log after a crash, and the next command waits for it again
    raise CalculationError(
        f"the embedded database (process {process.pid}) has not answered within {timeout_s:g} s: "
        "try again, or run `lzc db stop`"
    )


def _death(files: _Files, reason: str) -> CalculationError | InputError:
    if os.strerror(errno.EBUSY) in reason:
        return InputError(f"the embedded database {files.data} is open in another process: stop that one first")
    # on a full disk the daemon's own words are others, or did not fit either: let the system say it
    with TemporaryFile(dir=files.data) as probe:
        probe.write(bytes(2**20))
        probe.flush()
        os.fsync(probe.fileno())
    return CalculationError(f"the embedded database {files.data} died at its start: {reason} (log: {files.log})")


def daemon_path() -> str:
    """Return the path of SecantusDB's daemon; raise `InputError` where it is not installed."""
    beside = Path(sys.executable).with_name(_DAEMON)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(_DAEMON)
    if found is None:
        raise InputError(
            "embedded database is not installed: run `pip install 'lzc-flows[embedded]'` or set LZC_MONGO_URI"
        )
    return os.path.abspath(found)


def _free_port(preferred: int) -> int:
    """Return `preferred` if it is free on the loopback interface, else another free port."""
    # below those that the system gives to outgoing connections, which could take the port of a server that restarts
    others = random.sample(_PORTS, 100)
    for port in (preferred, *others) if preferred else others:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_LOOPBACK, port))
            return port
    raise CalculationError(f"no port is free on {_LOOPBACK}")


def _listens(pid: int, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp4")
    except psutil.Error:
        return False
    return any(entry.status == psutil.CONN_LISTEN and entry.laddr.port == port for entry in connections)


def _last_line(log: Path, start: int) -> str:
    with log.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _running(files: _Files) -> tuple[psutil.Process, _Record] | None:
    """Return the recorded process if it is certain to be the daemon of these files."""
    try:
        record = _Record.model_validate_json(files.record.read_bytes())
        process = psutil.Process(record.pid)
        command = process.cmdline()
        same_start = abs(started_s_after_boot(process) - record.created_s_after_boot) < 0.1
    except (OSError, ValidationError, psutil.Error):  # no record of ours, no such process, or only its zombie
        return None
    is_daemon = any("secantusd" in Path(word).name for word in command[:2])
    has_data = record.data_dir == str(files.data) and record.data_dir in command
    return (process, record) if same_start and is_daemon and has_data else None


def _write_record(files: _Files, pid: int, port: int) -> None:
    created = round(started_s_after_boot(psutil.Process(pid)), 2)
    record = _Record(pid=pid, port=port, created_s_after_boot=created, data_dir=str(files.data))
    write_atomically(files.port, f"{port}\n".encode())
    write_atomically(files.record, record.model_dump_json(indent=2).encode())


def _last_port(files: _Files) -> int:
    """Return the port of the last server, or 0 if there was none."""
    try:
        port = int(files.port.read_bytes())
    except (OSError, ValueError):
        return 0
    return port if port in range(1, 65536) else 0


def _end(process: psutil.Process) -> None:
    """End the process by SIGTERM, by SIGKILL if that takes more than 60 s."""
    try:
        process.terminate()
        if not _wait_until_gone(process, _STOP_TIMEOUT_S):
            process.kill()
            _wait_until_gone(process, _STOP_TIMEOUT_S)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise InputError(
            f"the embedded database (process {process.pid}) belongs to another user: only that user can stop it"
        ) from None


def _wait_until_gone(process: psutil.Process, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        # a zombie has closed its files; whether its parent ever reaps it does not matter here
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(_POLL_S)
    return False


def _loopback_uri(port: int) -> str:
    return f"mongodb://{_LOOPBACK}:{port}/"


@contextmanager
def _locked(files: _Files) -> Iterator[None]:
    """Hold the lock of these files; the kernel frees it even if its holder is killed."""
    files.root.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    with files.lock.open("ab") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CalculationError(
                        f"another command has been starting or stopping the embedded database for "
                        f"{_LOCK_TIMEOUT_S:g} s: end it and try again (it holds {files.lock})"
                    ) from None
                time.sleep(_POLL_S)
        yield


@contextmanager
def _readable_os_errors(files: _Files) -> Iterator[None]:
    """Turn a full or unwritable folder into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot keep the embedded database in {files.root}: {error.strerror} "
            "(LZC_CAMPAIGNS_DIR names the folder of campaigns)"
        ) from None
