"""A rehearsal: a campaign with a stand-in for VASP, in a database and folders of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lzc_flows.database.plans import planned_keys
from lzc_flows.database.server import stop_server
from lzc_flows.database.stores import TASKS, Database
from lzc_flows.engines.vasp_program import STAND_IN
from lzc_flows.flows.spec import STAGES
from lzc_flows.rehearsal.potcars import write_library
from lzc_flows.settings import get_settings

FOLDER = "rehearsals"
"""Of all rehearsals, in the folder of campaigns: the embedded server that runs there has their documents only."""


def enter_rehearsal(faults: Path | None) -> Path:
    """Make this process and those that it starts rehearse; return the folder of rehearsals.

    VASP is the stand-in, and campaigns, server and database are others than those of real runs. Libraries read these
    settings when they are first imported, so that this comes first.

    Parameters
    ----------
    faults
        File of the faults that the stand-in makes, see docs/rehearsal.md.
    """
    folder = get_settings().campaigns_dir / FOLDER
    command = f"{shlex.quote(sys.executable)} -m {STAND_IN}"
    os.environ |= {"ATOMATE2_VASP_CMD": command, "ATOMATE2_VASP_GAMMA_CMD": command, "LZC_CAMPAIGNS_DIR": str(folder)}
    os.environ.pop("LZC_MONGO_URI", None)
    if faults is not None:
        os.environ["LZC_REHEARSAL_FAULTS"] = str(faults.absolute())
    get_settings.cache_clear()
    return folder


@contextmanager
def potcars_at_hand(folder: Path) -> Iterator[bool]:
    """Have stand-ins for POTCARs written to `folder` where no library is set up; yield whether they serve.

    They serve this process and those that it starts, while the block runs.
    """
    from pymatgen.core import SETTINGS

    if SETTINGS.get("PMG_VASP_PSP_DIR"):
        yield False
        return
    library = str(write_library(folder))
    SETTINGS["PMG_VASP_PSP_DIR"] = os.environ["PMG_VASP_PSP_DIR"] = library
    try:
        yield True
    finally:
        del SETTINGS["PMG_VASP_PSP_DIR"], os.environ["PMG_VASP_PSP_DIR"]


def forget(folder: Path) -> None:
    """Remove all rehearsals, their server and database."""
    stop_server(folder)
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class StageTally:
    """What a stage of a rehearsal came to.

    Attributes
    ----------
    documents
        Results in the database.
    launches
        Folders in which its jobs ran: more than documents where some ran again.
    calculations
        Runs of VASP: folders with an INCAR.
    corrections
        Errors that custodian mended.
    megabytes
        What its folders hold.
    """

    documents: int = 0
    launches: int = 0
    calculations: int = 0
    corrections: dict[str, int] = field(default_factory=dict)
    megabytes: float = 0.0


def tally(database: Database, campaign: str, folder: Path) -> dict[str, StageTally]:
    """Return what each stage of a rehearsed campaign came to; results that campaigns share count in each."""
    found: dict[str, StageTally] = {}
    wanted = {"metadata.key": {"$in": list(planned_keys(database, campaign))}, "output": {"$ne": None}}
    fields = {"metadata.stage": True, "output.corrections": True}
    for task in database.collection(TASKS).find(wanted, fields):
        stage = found.setdefault(task["metadata"]["stage"], StageTally())
        stage.documents += 1
        for correction in task["output"].get("corrections") or []:
            handler = correction["handler"]
            stage.corrections[handler] = stage.corrections.get(handler, 0) + 1
    for place in (folder / "launches" / name for name in STAGES):
        if not place.is_dir():
            continue
        stage = found.setdefault(place.name, StageTally())
        stage.launches = sum(1 for _ in place.glob("*/*"))
        files = [path for path in place.rglob("*") if path.is_file()]
        stage.calculations = sum(path.name in ("INCAR", "INCAR.gz") for path in files)
        stage.megabytes = sum(path.stat().st_size for path in files) / 2**20
    return found
