"""`lzc bvse --check-pairs`: whether softBV has the pairs of a campaign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lzc_flows.cli.common import emit_json, stdout

if TYPE_CHECKING:
    from lzc_flows.flows.coverage import Coverage, PairCoverage


def check_pairs(file: Path, json_output: bool) -> None:
    """Print which pairs of a campaign file have softBV parameters; refuse the campaign where one has none.

    Raises
    ------
    InputError
        The campaign is not a possible one, or a pair lacks parameters (after the report is printed).
    """
    from lzc_flows.flows.candidate import Campaign
    from lzc_flows.flows.coverage import pair_coverage, refuse_missing
    from lzc_flows.flows.spec import load_campaign

    coverage = pair_coverage(Campaign(load_campaign(file)))
    if json_output:
        emit_json(
            {
                "campaign": coverage.campaign,
                "mobile": coverage.mobile,
                "convention": coverage.convention,
                "pairs": [_entry(pair) for pair in coverage.pairs],
                "missing": [
                    {**_entry(pair), "combinations": pair.combinations, "available": pair.available}
                    for pair in coverage.missing
                ],
            }
        )
    else:
        _print(coverage)
    refuse_missing(coverage)


def _entry(pair: PairCoverage) -> dict[str, Any]:
    return {
        "partner": pair.partner,
        "interaction": pair.interaction,
        "covered": pair.covered,
        "candidates": len(pair.combinations),
    }


def _print(coverage: Coverage) -> None:
    from rich.table import Table

    # not the table's title, which would break at the table's edge
    stdout.print(f"{coverage.campaign}: softBV parameters of {coverage.mobile}, convention {coverage.convention}")
    table = Table()
    for heading in ("Partner", "Interaction", "Parameters"):
        table.add_column(heading)
    table.add_column("Candidates", justify="right")
    for pair in coverage.pairs:
        state = "ok" if pair.covered else "missing"
        table.add_row(pair.partner, pair.interaction, state, str(len(pair.combinations)))
    stdout.print(table)
