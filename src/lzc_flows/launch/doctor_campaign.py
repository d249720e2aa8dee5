"""Whether a campaign has all that it needs here: its engines, what they want of its ions, softBV's pairs."""

from __future__ import annotations

from collections.abc import Mapping

from lzc_flows.documents.engine import EngineSpec
from lzc_flows.engines.base import Ions
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.coverage import pair_coverage, refuse_missing
from lzc_flows.flows.treatable import require_engines
from lzc_flows.launch.findings import Finding


def stage_engines(campaign: Campaign) -> dict[str, EngineSpec]:
    """Return the engine of each stage that has one."""
    found = {
        stage: getattr(getattr(campaign.spec.stages, stage), "engine", None) for stage in campaign.spec.stages.names
    }
    return {stage: engine for stage, engine in found.items() if isinstance(engine, EngineSpec)}


def engine_names(campaign: Campaign) -> set[str]:
    """Return the names of the engines that a campaign needs."""
    return {engine.name for engine in stage_engines(campaign).values()}


def campaign_findings(campaign: Campaign) -> list[Finding]:
    """Return what is found of a campaign: its ions in each of its engines, softBV's pairs, and all of it together.

    Raises
    ------
    InputError
        The campaign is not a possible one.
    """
    ions = dict.fromkeys(ion for cell in campaign.cells for ion in cell.ions)
    stages: dict[str, list[str]] = {}
    specs = {}
    for stage, engine in stage_engines(campaign).items():
        stages.setdefault(engine.model_dump_json(), []).append(stage)
        specs[engine.model_dump_json()] = engine
    of_engines = [_ions(specs[words], names, tuple(ions)) for words, names in stages.items()]
    found = [*of_engines, _pairs(campaign)]
    if any(finding.status == "missing" for finding in found):
        return found
    # what no ion alone shows, such as an odd number of electrons without spins
    return [*found, Finding.of(f"campaign {campaign.spec.name}", lambda: _whole(campaign), needed=True)]


def _ions(spec: EngineSpec, stages: list[str], ions: tuple[str, ...]) -> Finding:
    """Return whether an engine has all that it needs of each ion: elements, POTCARs, bases."""
    # two of each, which have an even number of electrons whatever they are
    refusals = dict.fromkeys(filter(None, (_refusal(spec, {ion: 2}) for ion in ions)))
    name = f"ions of {spec.name} ({', '.join(stages)})"
    if refusals:
        return Finding(name, "missing", "", "; ".join(refusals))
    return Finding(name, "ok", ", ".join(ions))


def _refusal(spec: EngineSpec, counts: Mapping[str, int]) -> str | None:
    try:
        engine_of(spec).require(Ions.of_counts(counts))
    except InputError as error:
        return str(error)
    return None


def _pairs(campaign: Campaign) -> Finding:
    def look() -> str:
        coverage = pair_coverage(campaign)
        refuse_missing(coverage)
        return f"{coverage.mobile} with {', '.join(pair.partner for pair in coverage.pairs)}"

    return Finding.of("softBV pairs", look, needed=True)


def _whole(campaign: Campaign) -> str:
    require_engines(campaign)
    return f"{len(campaign.cells)} candidates"
