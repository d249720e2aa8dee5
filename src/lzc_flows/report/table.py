"""The ranking as a CSV file that says how it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lzc_flows.files import write_atomically
from lzc_flows.ranking.criteria import CRITERIA, Spread
from lzc_flows.ranking.spec import SCORES, RankingSpec, describe
from lzc_flows.ranking.tiers import spec_at, weighed_tiers

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def write_csv(ranking: pd.DataFrame, spec: RankingSpec, path: Path) -> None:
    """Write every component of a ranking as CSV below a header of comment lines.

    The header lines start with "# " and state both scores with their weights, the normalisation, the criteria
    with units and uncertainties, the tiers, how many candidates have a score, and which candidates lack which
    criterion. Numbers are the shortest that read back unchanged, a missing one is an empty field, and no percolation
    is inf. The same table gives the same bytes. Read it with `pandas.read_csv(path, comment="#")`.

    Parameters
    ----------
    ranking
        What `lzc_flows.ranking.assessment.assess`, or `lzc_flows.ranking.score.rank`, returns.
    spec
        The weights and the normalisation behind `ranking`.
    path
        Destination, replaced in one step.
    """
    header = "".join(f"# {line}\n" for line in _header_lines(ranking, spec))
    write_atomically(path, (header + ranking.to_csv(index=False, lineterminator="\n")).encode())


def _header_lines(ranking: pd.DataFrame, spec: RankingSpec) -> list[str]:
    lines = [f"{name}: {formula}" for name, formula in describe(spec).items()]
    for name in spec.criteria:
        criterion = CRITERIA[name]
        lines.append(f"{name}: {criterion.label} in {criterion.unit}, {criterion.direction} is better")
        said = spec.uncertainty_of(name)
        size = f"± {said.std:g} {criterion.unit}" if isinstance(said, Spread) else "each value's own"
        lines.append(f"uncertainty of {name}: {size}; {said.reason}")
    if "tier" in ranking:
        lines += _tier_lines(ranking, spec)
    scored = ", ".join(f"{ranking[score].count()} with {score}" for score in SCORES)
    lines.append(f"{len(ranking)} candidates: {scored}")
    for name in spec.criteria:
        keys = sorted(ranking.loc[ranking[name].isna(), "key"])
        if keys:
            lines.append(f"missing {name} ({len(keys)}): {', '.join(keys)}")
    return lines


def _tier_lines(ranking: pd.DataFrame, spec: RankingSpec) -> list[str]:
    """Say what each tier weighs, what the order is, and where intervals are from."""
    lines = []
    for tier in weighed_tiers(spec):
        weights = spec_at(spec, tier).weights("performance").items()
        words = " + ".join(f"{weight:.3g} × {name}" for name, weight in weights)
        lines.append(
            f"tier {tier}: performance of {words}; the deepest of {(ranking['tier'] == tier).sum()} candidates"
        )
    lines.append(
        "order: by tier, the deepest first, then by performance_cost; scores are those of a candidate's own tier"
    )
    lines.append(
        f"rank intervals and probabilities: Monte Carlo, {spec.samples} samples, seed {spec.seed}; top is {spec.top}"
    )
    return lines
