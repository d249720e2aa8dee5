"""`lzc launch`, and the commands that its batch jobs run: `lzc rapidfire` and `lzc singleshot`."""

from __future__ import annotations

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout
from lzc_flows.cli.session import CampaignArgument, Session, WorkersOption
from lzc_flows.cli.status import finish
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from lzc_flows.launch.queue import QueueSetting, Round
    from lzc_flows.launch.status import CampaignStatus

SILENCE_S = 1800.0
"""How long a SLURM that has answered before may be silent before `lzc launch` gives up, in s."""

PerGpuOption = Annotated[
    int | None, typer.Option(min=1, help="So many workers on each GPU of the job, instead of --workers.")
]


class Mode(StrEnum):
    """How batch jobs and queued jobs meet."""

    rapid = "rapid"
    reservation = "reservation"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (launch, rapidfire, singleshot):
        app.command(command.__name__)(command)


def launch(
    campaign: CampaignArgument,
    max_jobs: Annotated[
        int | None, typer.Option(min=1, help="Most batch jobs of it in the queue; default: that of the queue adapter.")
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="rapid packs many short jobs into one batch job; reservation has one batch job each.")
    ] = Mode.rapid,
    gpu: Annotated[bool, typer.Option("--gpu", help="Take my_qadapter_gpu.yaml.")] = False,
    launchpad: Annotated[Path, typer.Option(help="Folder that `lzc init` has written.")] = Path("launchpad"),
    workers: WorkersOption = None,
    workers_per_gpu: PerGpuOption = None,
    watch: Annotated[
        bool, typer.Option("--watch/--once", help="Go on until all is done, or look once and leave.")
    ] = True,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: s between two looks.")] = 15.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the next batch job's script; submit nothing.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Run CAMPAIGN in SLURM's queue, through FireWorks' queue launcher.

    Queues what is missing, submits as many batch jobs as there is work for, and goes on until all is done. Can be
    stopped and started again at any moment: it counts its own jobs in the queue.
    """
    from lzc_flows.launch.configuration_files import CPU_QADAPTER_FILE, GPU_QADAPTER_FILE, MAX_JOBS
    from lzc_flows.launch.queue import QueueSetting, job_script
    from lzc_flows.launch.queue_adapter import load_adapter
    from lzc_flows.launch.submit import submit

    adapter = load_adapter(launchpad, file_name=GPU_QADAPTER_FILE if gpu else CPU_QADAPTER_FILE)
    session = Session(campaign)
    run = session.setting(workers or adapter.cores)
    setting = QueueSetting(run, adapter, max_jobs or int(adapter.get(MAX_JOBS) or 1), mode.value, workers_per_gpu)
    if dry_run:
        _show_script(setting, job_script(setting), json_output)
        return
    adapter.queued_jobs(setting.job_name)  # refuses where there is no SLURM, before anything is queued
    submit(session.campaign, session.database, session.launchpad)
    if watch:
        submitted, status = _watch(setting, every)
    else:
        submitted, status = _look(setting, None)
    if json_output:
        emit_json({"job_name": setting.job_name, "submitted": submitted, **asdict(status)})
    elif watch:
        finish(status, json_output)
    if status.failures:
        raise typer.Exit(1)


def rapidfire(campaign: CampaignArgument, workers: WorkersOption = None, workers_per_gpu: PerGpuOption = None) -> None:
    """In a batch job: run what is queued of CAMPAIGN, and what follows from it, until none is left or the time is over.

    What its workers have in hand when SLURM ends it goes back into the queue.
    """
    from lzc_flows.launch.allocation import work_in_allocation
    from lzc_flows.launch.pool import cores, visible_gpus

    size = workers or cores()
    if workers_per_gpu is not None:
        import os

        gpus = visible_gpus(os.environ)
        if not gpus:
            raise InputError("--workers-per-gpu: this job has no GPU (neither CUDA_VISIBLE_DEVICES nor SLURM_JOB_GPUS)")
        size = workers_per_gpu * len(gpus)
    session = Session(campaign)
    if not work_in_allocation(session.setting(size)):
        stderr.print(f"{session.name}: stopped by SLURM, what was in hand is queued again", highlight=False)


def singleshot(
    campaign: CampaignArgument,
    fw_id: Annotated[int, typer.Option("--fw-id", "--fw_id", help="The firework.")],
    reservation: Annotated[str, typer.Option(help="In whose name it is reserved.")],
) -> None:
    """In a batch job: run the one firework of CAMPAIGN that is reserved for it."""
    from lzc_flows.launch.allocation import run_single

    session = Session(campaign)
    if not run_single(session.setting(1), fw_id, reservation):
        stderr.print(f"{session.name}: firework {fw_id} is not reserved for this job any more", highlight=False)


def _watch(setting: QueueSetting, every_s: float) -> tuple[list[str], CampaignStatus]:
    """Look again and again until nothing of the campaign is active; return the jobs submitted, and where it stands."""
    from lzc_flows.database.plans import planned_keys
    from lzc_flows.launch.progress import CampaignProgress

    keys = planned_keys(setting.run.database, setting.run.name)
    submitted, status = _look(setting, None)
    answered_at = time.monotonic()
    with CampaignProgress(setting.run.launchpad, keys) as progress:
        while status.active:
            progress.show(status)
            time.sleep(every_s)
            try:
                more, status = _look(setting, progress)
            except InputError as error:
                if time.monotonic() > answered_at + SILENCE_S:
                    raise
                _say(progress, f"{error}; looking again")
            else:
                answered_at = time.monotonic()
                submitted += more
        progress.show(status)
    return submitted, status


def _look(setting: QueueSetting, progress: object) -> tuple[list[str], CampaignStatus]:
    """Do one round and tell it; a queue that refuses the only job is an error."""
    from lzc_flows.launch.queue import launch_round

    done = launch_round(setting)
    if done.refusal and not (done.submitted or done.in_queue):
        raise InputError(done.refusal)
    status = setting.run.status()
    if done.submitted or done.lost or done.refusal or progress is None:
        _say(progress, _line(setting, done))
    return done.submitted, status


def _line(setting: QueueSetting, done: Round) -> str:
    queue = ", ".join(f"{count} {state.lower()}" for state, count in sorted(done.in_queue.items())) or "none"
    words = [f"batch jobs in the queue: {queue}", f"submitted: {' '.join(done.submitted) or 'none'}"]
    if done.advanced:
        words.append(f"{done.advanced} stages queued")
    if done.lost:
        words.append(f"{done.lost} lost ones queued again")
    if done.refusal:
        words.append(done.refusal)
    return f"{setting.run.name}: {done.ready} ready; {'; '.join(words)}"


def _say(progress: object, line: str) -> None:
    console = getattr(progress, "console", stderr)
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _show_script(setting: QueueSetting, script: str, json_output: bool) -> None:
    if json_output:
        emit_json({"job_name": setting.job_name, "max_jobs": setting.max_jobs, "script": script})
    else:
        stdout.print(script, highlight=False, markup=False, soft_wrap=True)
