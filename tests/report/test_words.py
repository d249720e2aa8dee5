from __future__ import annotations

import pytest

from lzc_flows.report.words import chemical, ion, joined, name_of


def test_ions_and_formulas() -> None:
    assert [ion(text) for text in ("Ti3+", "F-", "pristine", "Cu+", "x2d")] == ["Ti³⁺", "F⁻", "pristine", "Cu⁺", "x2d"]
    assert chemical("Li2.1Zr0.9Ti0.1Cl5.7F0.3") == "Li₂.₁Zr₀.₉Ti₀.₁Cl₅.₇F₀.₃"
    assert [chemical(text) for text in ("LZC-10TF", "ZrO2-2LiCl-Li2ZrCl6")] == ["LZC-10TF", "ZrO2-2LiCl-Li2ZrCl6"]


@pytest.mark.parametrize(
    ("parts", "spoken"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")]
)
def test_lists(parts: list[str], spoken: str) -> None:
    assert joined(parts) == spoken


def test_names() -> None:
    assert name_of("Ti3+", "2d ×1") == "Ti³⁺ on 2d ×1"
    assert name_of("pristine", "undoped") == "undoped host"
