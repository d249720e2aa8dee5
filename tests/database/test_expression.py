from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lzc_flows.database.expression import MAX_DEPTH, MAX_LENGTH, parse_where
from lzc_flows.database.stores import Database
from lzc_flows.errors import InputError

Document = dict[str, Any]
OPERATORS = {"$and", "$or", "$nor", "$eq", "$in", "$lt", "$lte", "$gt", "$gte", "$regex", "$options"}


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("cation", "condition 'cation' (at character 1): FIELD OPERATOR VALUE is allowed"),
        ("cation=", "condition 'cation=' (at character 1): FIELD OPERATOR VALUE"),
        ("=Ti", "condition '=Ti' (at character 1): FIELD OPERATOR VALUE"),
        ("cation=Ti, barrier_3d<0,6", "condition '6' (at character 25): FIELD OPERATOR VALUE"),
        ("cation=Ti and", "condition 'cation=Ti and' (at character 14): FIELD OPERATOR VALUE"),
        ("or cation=Ti", "condition 'or cation=Ti' (at character 1): FIELD OPERATOR VALUE"),
        ("kation=Ti", "unknown field 'kation'; allowed are key, stage_keys, campaigns, "),
        ("$where=1", "condition '$where=1' (at character 1): FIELD OPERATOR VALUE"),
        ("engines.$where=1", "condition 'engines.$where=1' (at character 1): FIELD OPERATOR VALUE"),
        ("stages.bsve", "unknown field 'stages.bsve'; allowed after the dot are order, relax, bvse, "),
        ("cation.x=1", "unknown field 'cation.x': that field has no entries"),
        ("barrier_3d<low", "condition 'barrier_3d<low' (at character 1): a number is allowed, or = none"),
        ("barrier_3d<none", "a number is allowed, or = none"),
        ("barrier_3d=nan", "a number is allowed, or = none"),
        ("barrier_3d<1e999", "a number is allowed, or = none"),
        ("extra_mobile=1_000", "a number is allowed"),
        ("cation<Ti", "=, != and ~ are allowed for text"),
        ("arrangements>100", "=, != and ~ are allowed for text"),
        ("order_exhaustive=maybe", "true, false or none is allowed"),
        ("barrier_3d~0.6", "~ is allowed for text and lists of text"),
        ("order_exhaustive~true", "~ is allowed for text and lists of text"),
        ("engines~nep", "~ is allowed for text and lists of text"),
        ("engines=nep", "= none and != none are allowed, or an entry"),
        ("supercell=2", "a size such as 2x2x1 is allowed"),
        ("corrections~", "condition 'corrections~' (at character 1): FIELD OPERATOR VALUE"),
        ("cation='Ti", "the quotation mark ' is not closed"),
        ("cation=''", "FIELD OPERATOR VALUE"),
        ("cation='Ti' 3", "after a quoted value and, or, a comma or the end is allowed"),
        ("cation in Ti", "values in parentheses are allowed after in, such as cation in (Ti, Al)"),
        ("cation in ()", "FIELD OPERATOR VALUE"),
        ("cation in (Ti, Al", "the values after in are not closed by a parenthesis"),
        ("(cation=Ti", "condition '(cation=Ti' (at character 1): this parenthesis is not closed"),
        ("cation=Ti)", "condition ')' (at character 10): this closing parenthesis opens nowhere"),
        ("()", "a condition is allowed in parentheses"),
        ("(cation=Ti) cation=Al", "condition 'cation=Al' (at character 13): and, or or a comma is allowed"),
        # a forgotten `and` would otherwise ask for a cation named Ti barrier_3d<1
        ("cation=Ti barrier_3d<1", "join conditions by and, or or a comma, or quote the value (before 'barrier_3d')"),
        ("cation=T\x00i", "character 9 ('\\x00') is not allowed"),
        ("cation=\ud800", "character 8 ('\\ud800') is not allowed"),
        ("(" * (MAX_DEPTH + 1) + "cation=Ti", f"more than {MAX_DEPTH} parentheses and nots within one another"),
        ("not " * 3000, f"condition of 12000 characters: {MAX_LENGTH} are allowed"),
    ],
)
def test_what_is_not_of_the_language_is_named_in_one_line(where: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_where(where)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("inner", ["cation=Ti3+ or cation=Al3+ and cation=W6+, cation=Y3+"])
def test_the_deepest_expression_is_one_that_the_server_takes(database: Database, inner: str) -> None:
    where = inner
    for _ in range(MAX_DEPTH):
        where = f"{inner} or cation=Sc3+ and ({where})"
    database.collection("some").insert_one({"cation": "W6+"})
    assert database.collection("some").find_one(parse_where(where)) is None
    nots = "not " * MAX_DEPTH + "cation=W6+"
    assert database.collection("some").count_documents(parse_where(nots)) == (MAX_DEPTH % 2 == 0)
    with pytest.raises(InputError, match="within one another"):
        parse_where(f"not {nots}")


# --- any text is either a filter or refused

WORDS = """
cation barrier_3d corrections engines.relax stages.bvse supercell order_exhaustive kation $where $or
= != < <= > >= ~ and or not in ( ) , ' " none inf nan true Ti Ti3+ 0.6 1e5 -2 2x2x1 {} [ .* \\ × ALGO
"""
PIECES = st.sampled_from([*WORDS.split(), "\n", "\t"])
GRAMMATICAL = st.lists(st.one_of(PIECES, PIECES.map(lambda piece: f" {piece} ")), max_size=25).map("".join)


def assert_harmless(found: Any) -> None:
    """Only operators of the language, over fields by their names; nothing else begins with a dollar sign."""
    if isinstance(found, dict):
        for name, entry in found.items():
            assert name in OPERATORS or not name.startswith("$")
            assert_harmless(entry)
    elif isinstance(found, list):
        for entry in found:
            assert_harmless(entry)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), GRAMMATICAL))
def test_any_text_is_a_filter_or_one_line(where: str) -> None:
    try:
        found = parse_where(where)
    except InputError as error:
        found = {"refused": str(error)}
    assert_harmless(found)
    assert len(found.get("refused", "a line").splitlines()) == 1
    bson.encode(found)


# --- what the server finds is what the conditions mean

TEXTS = ["Ti", "ti (3+)", "a.b", "a×b, c", "it's", "x and y", "none", "0.6", ".*", "$eq", "[b]", "ALGO = Normal"]
NUMBERS = [-1.5, 0.0, 0.6, 2.0, math.inf, -math.inf]

documents = st.fixed_dictionaries(
    {},
    optional={
        "formula": st.none() | st.sampled_from(TEXTS),
        "barrier_3d": st.none() | st.sampled_from([*NUMBERS, math.nan]),
        "hops": st.none() | st.integers(-2, 2),
        "order_exhaustive": st.none() | st.booleans(),
        "corrections": st.lists(st.sampled_from(TEXTS), max_size=3),
        "supercell": st.sampled_from([[1, 1, 1], [2, 2, 1]]),
        "engines": st.dictionaries(st.sampled_from(["relax", "aimd"]), st.sampled_from(TEXTS)),
    },
)


class Asked:
    """A condition: as it is written, and what it means, evaluated in Python."""

    def __init__(self, text: str, holds: Callable[[Document], bool]) -> None:
        self.text, self.holds = text, holds

    def __repr__(self) -> str:
        return self.text


def is_nothing(value: Any) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, float) and math.isnan(value))


def value_at(document: Document, name: str) -> Any:
    for word in name.split("."):
        document = (document or {}).get(word)
    return document


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if '"' not in text else f"'{text}'"


def of_texts(name: str, operator: str, value: str, others: list[str]) -> Asked:
    def texts(document: Document) -> list[str]:
        found = value_at(document, name)
        return found if isinstance(found, list) else [] if found is None else [found]

    meanings: dict[str, Callable[[Document], bool]] = {
        "=": lambda document: value in texts(document),
        "!=": lambda document: value not in texts(document),
        "~": lambda document: any(value.lower() in text.lower() for text in texts(document)),
        "in": lambda document: any(text in [value, *others] for text in texts(document)),
        "not in": lambda document: not any(text in [value, *others] for text in texts(document)),
    }
    written = f"({', '.join(map(quoted, [value, *others]))})" if "in" in operator else quoted(value)
    return Asked(f"{name} {operator} {written}", meanings[operator])


def of_numbers(name: str, operator: str, value: float) -> Asked:
    def compared(document: Document) -> bool:
        found = document.get(name)
        if is_nothing(found):
            return operator == "!="
        return {
            "=": found == value,
            "!=": found != value,
            "<": found < value,
            "<=": found <= value,
            ">": found > value,
            ">=": found >= value,
        }[operator]

    return Asked(f"{name}{operator}{value}", compared)


def of_nothing(name: str, *, there: bool) -> Asked:
    return Asked(f"{name}{'!=' if there else '='}none", lambda document: is_nothing(value_at(document, name)) != there)


text_names = st.sampled_from(["formula", "corrections", "engines.relax"])
all_names = st.sampled_from(["formula", "corrections", "engines", "engines.aimd", "barrier_3d", "hops", "supercell"])
leaves = st.one_of(
    st.builds(
        of_texts,
        text_names,
        st.sampled_from(["=", "!=", "~", "in", "not in"]),
        st.sampled_from(TEXTS),
        st.lists(st.sampled_from(TEXTS), max_size=2),
    ),
    st.builds(
        of_numbers,
        st.sampled_from(["barrier_3d", "hops"]),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(NUMBERS),
    ),
    st.builds(of_nothing, all_names, there=st.booleans()),
    st.booleans().map(
        lambda value: Asked(f"order_exhaustive = {value}", lambda document: document.get("order_exhaustive") is value)
    ),
    st.just(Asked("engines.relax", lambda document: value_at(document, "engines.relax") is not None)),
    st.just(Asked("supercell=2x2x1", lambda document: document.get("supercell") == [2, 2, 1])),
)


def negated(inner: Asked) -> Asked:
    return Asked(f"not ({inner.text})", lambda document: not inner.holds(document))


def joined(word: str, parts: list[Asked]) -> Asked:
    together = any if word == " or " else all
    return Asked(
        word.join(f"({part.text})" for part in parts), lambda document: together(part.holds(document) for part in parts)
    )


expressions = st.recursive(
    leaves,
    lambda inner: (
        inner.map(negated)
        | st.builds(joined, st.sampled_from([" and ", " or ", ", ", " AND "]), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(documents, min_size=1, max_size=12), asked=expressions)
def test_the_server_finds_what_the_conditions_mean(database: Database, documents: list[Document], asked: Asked) -> None:
    collection = database.collection("random")
    collection.delete_many({})
    collection.insert_many([{"_id": number, **document} for number, document in enumerate(documents)])
    found = {entry["_id"] for entry in collection.find(parse_where(asked.text), {"_id": True})}
    assert found == {number for number, document in enumerate(documents) if asked.holds(document)}
