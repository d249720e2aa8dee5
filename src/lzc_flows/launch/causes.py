"""Why jobs are lost or fail, and what is done about it: one small table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

CONTINUING_STAGES = frozenset(("order", "relax", "stability", "aimd", "arrhenius", "cineb", "electronic"))
"""Stages that look into the folders of their earlier launches and go on from what they find there."""

_LONGEST_REASON = 400

Kind = Literal["lost", "failed"]


@dataclass(frozen=True)
class Cause:
    """A cause by which jobs end that should have ended well.

    Attributes
    ----------
    name
        What it is called.
    kind
        Whether the job was lost with its worker, or failed by itself.
    remedy
        What helps, for people.
    again
        Whether the same job may well end otherwise when it runs again.
    pattern
        Of failed ones: what the last line of the exception shows.
    """

    name: str
    kind: Kind
    remedy: str
    again: bool = True
    pattern: str = ""


END_NOT_RECORDED = "end not recorded"
"""Of a job that has ended: only its state is to be brought up to date."""

LOST = {
    cause.name: cause
    for cause in (
        Cause("worker died", "lost", "nothing to mend: its process was killed or crashed"),
        Cause("batch job ended", "lost", "nothing to mend: at its walltime or by scancel; longer walltimes end fewer"),
        Cause("worker silent", "lost", "look at its node: nothing was heard for longer than LZC_HEARTBEAT_TIMEOUT_S"),
        Cause("orphan", "lost", "nothing to mend: what had started its worker is gone, the worker is ended"),
        Cause("no ping", "lost", "look at its node: a job of rlaunch no longer pings"),
        Cause("never started", "lost", "nothing to mend: its batch job or launcher is gone"),
        Cause(END_NOT_RECORDED, "lost", "nothing to mend: the job has ended, its worker died before it said so"),
    )
}
"""Causes of lost jobs, by name."""

FAILED = (
    Cause(
        "disk full",
        "failed",
        "free some space, see `lzc doctor`",
        pattern=r"No space left on device|Disk quota exceeded|\bdisk full\b|Errno (28|122)\b",
    ),
    Cause(
        "database lost",
        "failed",
        "see `lzc db status`",
        pattern=r"^(pymongo|gridfs)\.errors\.|AutoReconnect|ServerSelectionTimeout|connection closed",
    ),
    Cause(
        "out of memory",
        "failed",
        "fewer workers on a node (`lzc work -n`), or nodes with more memory",
        pattern=r"exit status (-9|137)\b|killed from outside|^MemoryError|Cannot allocate memory|oom.kill",
    ),
    Cause(
        "engine missing",
        "failed",
        "mend the machine, see `lzc doctor CAMPAIGN`",
        pattern=r"is not installed|model file is missing|engine '(vasp|cp2k)': (?!no basis)|POTCAR library|"
        r"softBV tables are missing|^(ImportError|ModuleNotFoundError)|No such file or directory: '[^'/]+'$",
    ),
    Cause(
        "input missing",
        "failed",
        "the result of the stage before is not in the database: rerun that stage (`lpad rerun_fws`)",
        again=False,
        pattern=r"[Cc]ould not resolve reference|UUID: \S+ has no outputs|is not in the data store",
    ),
    Cause(
        "folder in use",
        "failed",
        "another process ran there; nothing to mend once it has ended",
        pattern=r"another process runs there now",
    ),
    Cause(
        "folder not writable",
        "failed",
        "let the workers write the campaigns folder",
        pattern=r"a folder that can be written is allowed|^PermissionError",
    ),
    Cause(
        "bad input",
        "failed",
        "change the campaign, or the files that it names",
        again=False,
        pattern=r"\bInputError\b",
    ),
    Cause(
        "frozen",
        "failed",
        "look at the load of the node",
        pattern=r"\bno [\w ]+ for [\d.e+]+ s$|FrozenJobErrorHandler",
    ),
    Cause(
        "crashed",
        "failed",
        "see the engine's output in the launch folder",
        pattern=r"exit status -?\d+|ended before its end|BrokenPipeError|ended without a message",
    ),
    Cause(
        "not converged",
        "failed",
        "other numbers in the protocol, such as more steps or another optimizer",
        again=False,
        pattern=r"not converge|without a converged result|unconverged",
    ),
    Cause(
        "exploded",
        "failed",
        "a shorter time step, or the candidate is not stable",
        again=False,
        pattern=r"explo|\bbroke\b|too hot|atoms too close|not finite|energy drift",
    ),
    Cause(
        "output damaged",
        "failed",
        "see the engine's output in the launch folder",
        pattern=r"not whole|\bdamaged\b|checksum",
    ),
    Cause(
        "too many corrections",
        "failed",
        "see the errors in the launch folder: custodian could not mend them",
        again=False,
        pattern=r"after \d+ (corrections|attempts)|Max(Corrections|Errors)|NonRecoverable",
    ),
    Cause(
        "calculation failed",
        "failed",
        "the candidate does not allow it, or the protocol's numbers do not fit",
        again=False,
        pattern=r"\bCalculationError\b",
    ),
)
"""Causes of failed jobs; the first whose pattern is found counts."""

UNKNOWN = Cause("unknown", "failed", "see the exception in the launch (`lpad get_fws -i ID -d all`)")


def cause_of(reason: str) -> Cause:
    """Return the cause of a failed job, given the last line of its exception."""
    return next((cause for cause in FAILED if re.search(cause.pattern, reason, re.IGNORECASE)), UNKNOWN)


def reason_of(launch: dict[str, Any] | None) -> str:
    """Return why a launch failed, in one line: the exception of its stack trace and the first line of its message."""
    stored = ((launch or {}).get("action") or {}).get("stored_data") or {}
    trace = str((stored.get("_exception") or {}).get("_stacktrace", "")).strip()
    lines = [line.rstrip() for line in trace.splitlines()]
    named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(:|$)", line)]
    found = (named or lines or ["no exception recorded"])[-1]
    return found if len(found) <= _LONGEST_REASON else found[:_LONGEST_REASON] + "…"


def cause_named(name: str) -> Cause:
    """Return the cause of that name; `UNKNOWN` where the table has none."""
    return LOST.get(name) or next((cause for cause in FAILED if cause.name == name), UNKNOWN)
