"""The Python of the explanations runs, and gives the numbers in its comments to all digits that are shown."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


def results(source: str, names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Run a block; yield the comment behind each expression that has one of numbers, and the expression's value."""
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        code = ast.unparse(statement)
        if not isinstance(statement, ast.Expr):
            exec(code, names)
            continue
        value = eval(code, names)
        _, _, comment = lines[statement.end_lineno - 1].partition("  # ")
        if re.match(r"-?\d|True|False", comment):
            yield comment, value


def flat(value: Any) -> list[Any]:
    """Return the entries of tuples within tuples."""
    return [one for part in value for one in flat(part)] if isinstance(value, tuple) else [value]


def last_digit(number: str) -> float:
    """Return what one in the last digit of a number stands for."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def assert_shown(comment: str, value: Any) -> None:
    """Each entry of the value is what the comment says at its place, after rounding."""
    values, words = flat(value), comment.split(", ")
    assert len(words) >= len(values), comment
    for word, found in zip(words, values, strict=False):
        if isinstance(found, bool):
            assert word == str(found)
            continue
        number = NUMBER.match(word)
        assert number, comment
        assert float(found) == pytest.approx(float(number[0]), rel=1e-9, abs=0.51 * last_digit(number[0])), comment


@pytest.mark.parametrize("page", ["bvse", "density", "diffusion", "hop-kinetics"])
def test_the_numbers_are_those_in_the_comments(page: str, blocks: Callable[[Path], list[Any]]) -> None:
    names: dict[str, Any] = {}  # a page is one session
    python = [block.body for block in blocks(DOCS / f"{page}.md") if block.language == "python"]
    found = [result for body in python for result in results(body, names)]
    assert found
    for comment, value in found:
        assert_shown(comment, value)
