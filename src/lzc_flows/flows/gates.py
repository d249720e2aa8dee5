"""Gates: which candidates go on to a stage that is too dear for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lzc_flows.flows.spec import CampaignSpec
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import IDENTITY_COLUMNS, RankingSpec


def passed_gates(spec: CampaignSpec, summaries: list[dict[str, Any]], states: Mapping[str, str]) -> dict[str, set[str]]:
    """Return, for each stage of a campaign, the keys of the candidates that may run it.

    A gate opens when every candidate has ended, well or not, all stages without a gate. It lets the best `top` pass,
    by performance over the criteria that the stages without a gate give, in the ranking's weights; of equal ones the
    first by key. It follows from the results alone: what is recovered later takes part.

    Parameters
    ----------
    summaries
        What is known of the candidates.
    states
        FireWorks' state of each stage key that has been queued.
    """
    everyone = {summary["key"] for summary in summaries}
    free = [stage for stage in spec.stages.names if _top(spec, stage) is None]
    settled = all(_settled(summary, free, states) for summary in summaries)
    passed = {}
    for stage in spec.stages.names:
        top = _top(spec, stage)
        if top is None:
            passed[stage] = everyone
        else:
            passed[stage] = set(_best(spec.ranking, summaries, free)[:top]) if settled else set()
    return passed


def _top(spec: CampaignSpec, stage: str) -> int | None:
    return getattr(getattr(spec.stages, stage), "top", None)


def _settled(summary: dict[str, Any], stages: list[str], states: Mapping[str, str]) -> bool:
    """Return whether all stages have ended well, or one has failed for now or for good: those after it never start."""
    missing = [stage for stage in stages if stage not in summary["stages"]]
    return not missing or any(states.get(summary["stage_keys"][stage]) in ("FIZZLED", "DEFUSED") for stage in missing)


def _best(ranking: RankingSpec, summaries: list[dict[str, Any]], stages: list[str]) -> list[str]:
    """Return the keys of the candidates that have a score so far, the best first."""
    known = {name: weight for name, weight in ranking.performance.items() if CRITERIA[name].stage in stages}
    if not known:
        return sorted(summary["key"] for summary in summaries)
    import pandas as pd  # most campaigns ask for no best, and most advances find no gate that opens

    from lzc_flows.ranking.score import rank

    so_far = ranking.model_copy(update={"performance": known})
    rows = [
        {
            "key": summary["key"],
            "cation": summary["cation_axis"],
            "column": summary["column"],
            **{name: summary[name] for name in so_far.criteria},
        }
        for summary in summaries
    ]
    table = pd.DataFrame(rows, columns=[*IDENTITY_COLUMNS, *so_far.criteria])
    ranked = rank(table.astype(dict.fromkeys(so_far.criteria, float)), so_far)
    scored = ranked.dropna(subset=["performance"]).sort_values(["rank_performance", "key"])
    return list(scored["key"])
