"""Faults on demand: what custodian mends, and what only a restart does.

Messages are those that custodian's ``VaspErrorHandler`` looks for (custodian/vasp/handlers.py), in VASP's wording; what
it changes in answer is said beside each.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from lzc_flows.errors import InputError
from lzc_flows.rehearsal.incar import typed
from lzc_flows.rehearsal.inputs import Inputs

When = Literal["start", "electrons", "ions"]


@dataclass(frozen=True)
class Message:
    """What VASP prints, whether it ends there, and when: at its start, or before or after an ionic step is done."""

    text: str
    when: When = "electrons"
    ends: bool = True


MESSAGES = {
    # CONTCAR to POSCAR, EDIFF to 1e-6 or a tenth, NELMIN = 8; the second time IBRION = 1
    "zbrent": Message(
        " ZBRENT: fatal error in bracketing\n     please rerun with smaller EDIFF, or copy CONTCAR\n"
        "     to POSCAR and continue\n",
        when="ions",
    ),
    # CONTCAR to POSCAR, ALGO = All, CHGCAR deleted
    "edddav": Message(" Error EDDDAV: Call to ZHEGV failed. Returncode =  10 2  16\n"),
    # CONTCAR to POSCAR, ALGO = Normal, else POTIM halved; CHGCAR and WAVECAR deleted
    "eddrmm": Message(" WARNING in EDDRMM: call to ZHEGV failed, returncode =   6  3    12\n", ends=False),
    # ISTART = 1 or IMIX = 1, then other meshes, then ISYM = 0
    "brmix": Message(
        " BRMIX: very serious problems\n the old and the new charge density differ\n"
        " old charge density:   120.00000 new  119.98000\n",
        ends=False,
    ),
    # ISYM = 0, and POTIM halved
    "zpotrf": Message(" LAPACK: Routine ZPOTRF failed!           8           1           0\n"),
    # SYMPREC down, up, then ISYM = 0
    "posmap": Message(
        " POSMAP internal error: symmetry equivalent atom not found,\n POSMAP: try to increase SYMPREC\n", when="start"
    ),
}
"""Faults that VASP prints."""

Silent = Literal["nonconverging", "unconverged", "kill", "truncated", "frozen"]

SILENT: dict[Silent, str] = {
    "nonconverging": "NELM is reached in this ionic step and all later ones",
    "unconverged": "atoms hardly move from this ionic step on, and NSW is reached with forces left",
    "kill": "the process kills itself after this ionic step",
    "truncated": "vasprun.xml is cut in its middle, and the run ends as if nothing were",
    "frozen": "nothing is written after this ionic step, and nothing ends",
}
"""Faults that VASP does not print."""

KINDS = ("static", "relax", "md", "neb", "any")


@dataclass(frozen=True)
class Fault:
    """A fault that happens.

    Attributes
    ----------
    fault
        Its name, of `MESSAGES` or `SILENT`.
    kind
        In which kind of calculation.
    step
        At which ionic step of a run, from 1.
    times
        How often in all, over all runs; None for always, which only `until` ends.
    until
        By tag, values of which one in INCAR mends it.
    formula
        What the comment or the formula of POSCAR must hold.
    """

    fault: str
    kind: str = "any"
    step: int = 1
    times: int | None = None
    until: dict[str, list[Any]] = field(default_factory=dict)
    formula: str = ""

    def concerns(self, inputs: Inputs) -> bool:
        """Return whether it happens in this calculation."""
        if self.kind not in ("any", inputs.kind):
            return False
        arrangement = inputs.arrangement
        if self.formula and self.formula not in arrangement.comment and self.formula not in arrangement.formula:
            return False
        return not any(inputs.tags.get(tag) in values for tag, values in self.until.items())


@dataclass
class Faults:
    """The faults that concern a calculation, and how often each has happened.

    Attributes
    ----------
    file
        Where they are described; their counts lie beside it. None for no faults.
    concerned
        Them, by their place in the file.
    happened
        Those of this process that last.
    """

    file: Path | None
    concerned: dict[int, Fault]
    happened: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, file: Path | None, inputs: Inputs) -> Faults:
        """Return the faults of a file that concern a calculation.

        Raises
        ------
        InputError
            The file describes none, or one that is not known.
        """
        if file is None:
            return cls(None, {})
        found = read_faults(file)
        return cls(file, {number: fault for number, fault in enumerate(found) if fault.concerns(inputs)})

    def messages(self, when: When, step: int) -> list[Message]:
        """Return what VASP prints now; each is counted."""
        names = [name for name, message in MESSAGES.items() if message.when == when]
        return [MESSAGES[name] for name in names if self.begins(name, step)]

    def lasts(self, name: Silent, step: int) -> bool:
        """Return whether a fault that lasts goes on, or begins, which is counted."""
        begun = any(self.concerned[number].fault == name for number in self.happened)
        return begun or self.begins(name, step)

    def begins(self, name: str, step: int) -> bool:
        """Return whether a fault happens at this ionic step, and count it."""
        for number, fault in self.concerned.items():
            if fault.fault == name and fault.step == step and number not in self.happened and self._count(number):
                self.happened.add(number)
                return True
        return False

    def _count(self, number: int) -> bool:
        """Count a fault unless it has happened often enough; other processes count in the same file."""
        if self.file is None:
            return False
        with self.file.with_name(f"{self.file.name}.state").open("a+") as state:
            fcntl.flock(state, fcntl.LOCK_EX)
            state.seek(0)
            counts: dict[str, int] = json.loads(state.read() or "{}")
            done, times = counts.get(str(number), 0), self.concerned[number].times
            if times is not None and done >= times:
                return False
            counts[str(number)] = done + 1
            state.truncate(0)
            state.write(json.dumps(counts))
            state.flush()
        return True


def read_faults(file: Path) -> list[Fault]:
    """Return the faults that a JSON file describes: a list of objects with the fields of `Fault`.

    Raises
    ------
    InputError
        It cannot be read, or names something unknown.
    """
    try:
        entries = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"faults {file}: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"faults {file}: a list of objects is allowed")
    return [_fault(file, entry) for entry in entries]


def _fault(file: Path, entry: dict[str, Any]) -> Fault:
    names = [*MESSAGES, *get_args(Silent)]
    fields = list(Fault.__dataclass_fields__)
    unknown = sorted(set(entry) - set(fields))
    if unknown:
        raise InputError(f"faults {file}: {unknown[0]!r}: allowed are {', '.join(fields)}")
    if entry.get("fault") not in names:
        raise InputError(f"faults {file}: fault {entry.get('fault')!r}: allowed are {', '.join(names)}")
    if entry.get("kind", "any") not in KINDS:
        raise InputError(f"faults {file}: kind {entry['kind']!r}: allowed are {', '.join(KINDS)}")
    until = {tag: [_as_read(tag, value) for value in values] for tag, values in entry.get("until", {}).items()}
    times = entry.get("times", None if until else 1)
    return Fault(**{**entry, "until": until, "times": times})


def _as_read(tag: str, value: Any) -> Any:
    """Return a tag's value as it would be read from INCAR."""
    return typed(tag, f".{value}." if isinstance(value, bool) else str(value))
