"""The progress of a campaign on a terminal, or as plain lines where there is none."""

from __future__ import annotations

import time
from pathlib import Path

from fireworks import LaunchPad
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lzc_flows.engines.relax_worker import LOG_FILE
from lzc_flows.launch.launchpad import running_directories
from lzc_flows.launch.status import CampaignStatus

PLAIN_INTERVAL_S = 15.0
"""How often a line is printed where no terminal can show a bar."""


class CampaignProgress:
    """A bar a stage, and a line for each running job with its optimizer's last step; on stderr."""

    def __init__(self, launchpad: LaunchPad, keys: set[str]) -> None:
        self.launchpad, self.keys = launchpad, keys
        console = Console(stderr=True)
        self.is_terminal = console.is_terminal
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[running]}"),
            console=console,
            disable=not self.is_terminal,
        )
        self.tasks: dict[str, TaskID] = {}
        self.console = console
        self.last_line = ("", 0.0)

    def __enter__(self) -> CampaignProgress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def show(self, status: CampaignStatus) -> None:
        """Bring the bars, or the plain line, up to date."""
        if not self.is_terminal:
            self._print_line(status)
            return
        running: dict[str, list[str]] = {}
        for state, directory in running_directories(self.launchpad, self.keys):
            running.setdefault(state.stage, []).append(f"{state.key.rpartition('_')[0]}{_last_step(directory)}")
        for stage, counts in status.counts.items():
            if stage not in self.tasks:
                self.tasks[stage] = self.bars.add_task(stage, total=None, running="")
            failures = counts.get("FIZZLED", 0) + counts.get("DEFUSED", 0)
            done = counts.get("COMPLETED", 0) + failures
            failed = f"[red]{failures} failed[/red] " if failures else ""
            now = failed + " · ".join(running.get(stage, []))
            self.bars.update(self.tasks[stage], completed=done, total=sum(counts.values()), running=now)

    def _print_line(self, status: CampaignStatus) -> None:
        counts = ", ".join(
            f"{stage} {counts.get('COMPLETED', 0)}/{sum(counts.values())}" for stage, counts in status.counts.items()
        )
        failed = f", {len(status.failures)} failed" if status.failures else ""
        line, (last, printed) = f"{status.campaign}: {counts}{failed}", self.last_line
        if line != last and (time.monotonic() - printed > PLAIN_INTERVAL_S or not status.active):
            self.console.print(line, highlight=False)
            self.last_line = (line, time.monotonic())


def _last_step(directory: Path) -> str:
    """Return how far a job is, such as `` step 45, 0.12 eV/Å`` or `` 12/80 paths``."""
    from lzc_flows.engines.neb_worker import read_progress  # slow, and only what runs is asked

    progress = read_progress(directory)
    if progress is not None:
        return f" {progress.done}/{progress.of} {progress.what}"
    try:
        words = (directory / LOG_FILE).read_text().rstrip().rpartition("\n")[2].split()
        return f" step {int(words[1])}, {float(words[-1]):.2f} eV/Å"
    except (OSError, IndexError, ValueError):
        return ""
