"""Rankings in the terminal: the table of a campaign, and what one candidate's scores are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lzc_flows.cli.common import number_text, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lzc_flows.documents.ranking import RankingDoc
    from lzc_flows.ranking.explain import Part
    from lzc_flows.ranking.spec import Score

SHOWN = 100
"""The table shows the best; the files hold all."""

_TITLES: dict[Score, str] = {"performance": "Performance", "performance_cost": "Performance–cost"}


def print_ranking(document: RankingDoc) -> None:
    """Print one line a candidate, best by performance and cost first."""
    from rich.table import Table

    top = document.ranking["top"]
    table = Table(title=f"{document.campaign}: ranked by performance and cost", title_justify="left")
    for heading, justify in (
        ("Rank", "right"),
        ("68 %", "right"),
        ("Cation", "left"),
        ("Grid", "left"),
        ("Tier", "left"),
        ("Performance–\ncost", "right"),
        (f"P(top {top})", "right"),
        ("Performance", "right"),
        ("rank (68 %)", "right"),
        (f"P(top {top})", "right"),
        ("Cost\n$/kg", "right"),
        ("Missing", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in document.rows[:SHOWN]:
        table.add_row(
            _text(row["rank_performance_cost"]),
            _interval(row, "performance_cost"),
            row["cation"],
            row["column"],
            row["tier"] or "-",
            number_text(row["performance_cost"]),
            _percent(row["top_probability_performance_cost"]),
            number_text(row["performance"]),
            f"{_text(row['rank_performance'])} ({_interval(row, 'performance')})",
            _percent(row["top_probability_performance"]),
            "-" if row["cost_usd_per_kg"] is None else f"{row['cost_usd_per_kg']:.2f}",
            row["why_missing"],
        )
    stdout.print(table)
    if len(document.rows) > SHOWN:
        stdout.print(f"the best {SHOWN} of {len(document.rows)}; ranking.csv holds all", highlight=False)
    for tier in document.tiers:
        weights = ", ".join(f"{weight:.3g} {name}" for name, weight in tier["weights"]["performance"].items())
        stdout.print(
            f"tier {tier['tier']}: {tier['candidates']} candidates compared by {weights}; the deepest tier of "
            f"{tier['deepest_of']}",
            highlight=False,
        )


def print_explanation(row: Mapping[str, Any], parts: Mapping[Score, list[Part]]) -> None:
    """Print what each score of a candidate is made of."""
    from rich.table import Table

    stdout.print(f"{row['key']}: tier {row['tier'] or '-'}", highlight=False)
    if row["why_missing"]:
        stdout.print(row["why_missing"], highlight=False)
    for score, some in parts.items():
        rank = f"rank {_text(row[f'rank_{score}'])} ({_interval(row, score)})"
        table = Table(title=f"{_TITLES[score]} {number_text(row[score])}, {rank}", title_justify="left")
        for heading in ("Criterion", "Value", "68 % interval", "Unit", "Normalised", "Weight", "Adds", "Document"):
            table.add_column(heading)
        for part in some:
            uncertain = part.low is not None and part.low != part.high
            table.add_row(
                part.label,
                _number(part.value),
                f"{_number(part.low)} to {_number(part.high)}" if uncertain else "-",
                part.unit,
                number_text(part.normalised),
                number_text(part.weight),
                number_text(part.contribution),
                part.document or "-",
            )
        stdout.print(table)


def _text(value: int | None) -> str:
    return "-" if value is None else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _percent(probability: float | None) -> str:
    return "-" if probability is None else f"{100 * probability:.0f} %"


def _interval(row: Mapping[str, Any], score: str) -> str:
    low, high = row[f"rank_{score}_low68"], row[f"rank_{score}_high68"]
    return "-" if low is None else f"{low}–{high}"
