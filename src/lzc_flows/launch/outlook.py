"""How fast a campaign goes, who works for it, and when it may end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean

from lzc_flows.database.stores import Database
from lzc_flows.launch.queued import Queued, fireworks_by_id, moment, newest_launches
from lzc_flows.launch.status import CampaignStatus, Scan
from lzc_flows.launch.workers import announced_workers

RECENT_S = 3600.0
"""What throughput is about, in s: the last hour, or all the time since the first end where that is shorter."""

SAMPLE = 50
"""Newest jobs of a stage whose running times are averaged."""

_LEFT = ("TO DO", "WAITING", "READY", "RESERVED", "RUNNING")


@dataclass(frozen=True)
class Throughput:
    """How many jobs of a stage ended well in the last `over_h` hours, and so in one."""

    jobs: int
    over_h: float
    per_h: float


@dataclass(frozen=True)
class Outlook:
    """How a campaign goes on.

    Attributes
    ----------
    throughput_per_h
        By stage; only stages of which something has ended in the last hour.
    mean_run_s
        Mean running time by stage, of the newest that ended well, in s.
    remaining_s, ends_at
        How long it will still take with the workers that live, in s, and when (UTC) that is; None where it cannot be
        known.
    estimate
        How that was made, or why it was not.
    workers
        Numbers of announced workers that live and that are lost, and of the living ones by host.
    """

    throughput_per_h: dict[str, Throughput]
    mean_run_s: dict[str, float]
    remaining_s: float | None
    ends_at: str | None
    estimate: str
    workers: dict[str, object]


def outlook_of(database: Database, queued: Queued, status: CampaignStatus, seen: Scan) -> Outlook:
    """Return how the campaign goes on, given where it stands."""
    workers = [worker for worker in announced_workers(database).values() if worker.campaign == status.campaign]
    living = [worker for worker in workers if worker.loss() is None]
    hosts = {host: sum(worker.name.host == host for worker in living) for host in sorted({w.name.host for w in living})}
    mean_run_s = _mean_run_s(queued, seen)
    remaining_s, estimate = _remaining(status, mean_run_s, len(living))
    ends_at = None
    if remaining_s is not None:
        ends_at = (datetime.now(UTC) + timedelta(seconds=remaining_s)).isoformat(timespec="seconds")
    return Outlook(
        throughput_per_h=_throughput(seen),
        mean_run_s=mean_run_s,
        remaining_s=remaining_s,
        ends_at=ends_at,
        estimate=estimate,
        workers={"alive": len(living), "lost": len(workers) - len(living), "hosts": hosts},
    )


def _throughput(seen: Scan) -> dict[str, Throughput]:
    now = datetime.now(UTC)
    ages: dict[str, list[float]] = {}
    for firework in seen.fireworks:
        if firework["state"] == "COMPLETED":
            age_s = (now - moment(firework["updated_on"])).total_seconds()
            ages.setdefault(firework["spec"]["stage"], []).append(age_s)
    found = {}
    for stage, of_stage in ages.items():
        recent = [age_s for age_s in of_stage if age_s <= RECENT_S]
        # a minute at least: one job that has just ended is no throughput of thousands an hour
        over_s = min(max(60.0, *of_stage), RECENT_S) if len(of_stage) > 1 else RECENT_S
        if recent:
            found[stage] = Throughput(len(recent), over_s / 3600, len(recent) * 3600 / over_s)
    return found


def _mean_run_s(queued: Queued, seen: Scan) -> dict[str, float]:
    """Return the mean running time of the newest jobs of each stage, in s."""
    done: dict[str, list[int]] = {}
    for firework in seen.fireworks:
        if firework["state"] == "COMPLETED":
            done.setdefault(firework["spec"]["stage"], []).append(firework["fw_id"])
    sample = [fw_id for of_stage in done.values() for fw_id in sorted(of_stage)[-SAMPLE:]]
    fireworks = list(fireworks_by_id(queued, sample))
    launches = newest_launches(queued, fireworks)
    times: dict[str, list[float]] = {}
    for firework in fireworks:
        run_s = launches.get(firework["fw_id"], {}).get("runtime_secs")
        if run_s is not None:
            times.setdefault(firework["spec"]["stage"], []).append(run_s)
    return {stage: fmean(of_stage) for stage, of_stage in times.items()}


def _remaining(status: CampaignStatus, mean_run_s: dict[str, float], workers: int) -> tuple[float | None, str]:
    """Return how long the rest will take, in s, and how that was reckoned."""
    left = {stage: sum(counts.get(state, 0) for state in _LEFT) for stage, counts in status.counts.items()}
    left = {stage: number for stage, number in left.items() if number}
    if not left:
        return 0.0, "nothing is left to do"
    if not workers:
        return None, "no worker lives"
    unknown = [stage for stage in left if stage not in mean_run_s]
    if unknown:
        return None, f"nothing has ended yet of {', '.join(unknown)}"
    # one that runs is half done on average
    work_s = sum(
        mean_run_s[stage] * (number - 0.5 * status.counts[stage].get("RUNNING", 0)) for stage, number in left.items()
    )
    return work_s / workers, f"mean running time of each stage's last jobs × what is left / {workers} workers"
