"""The language of `lzc query --where`: conditions on candidates, parsed into a filter of MongoDB.

The grammar, lowest binding first::

    list      = either { "," either }          all must hold
    either    = all { "or" all }
    all       = one { "and" one }
    one       = "not" one | "(" list ")" | condition
    condition = FIELD ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") VALUE
              | FIELD ["not"] "in" "(" VALUE { "," VALUE } ")"
              | FIELD                          an entry of a dictionary, such as stages.relax: it is there

A VALUE is quoted, or reaches to the next comma, ``and``, ``or``, closing parenthesis that it did not open, or end.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from lzc_flows.database.fields import Field, field_of
from lzc_flows.errors import InputError

MAX_LENGTH = 10_000
"""Characters of an expression."""
MAX_DEPTH = 12
"""Parentheses and ``not`` within one another: BSON ends at a hundred levels, and one of ours makes up to six."""

Filter = dict[str, Any]

_FIELD = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_OPERATOR = re.compile(r"<=|>=|!=|=|<|>|~")
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.ASCII | re.IGNORECASE)
_CELL = re.compile(r"(\d{1,6})[x×](\d{1,6})[x×](\d{1,6})", re.ASCII)
_NEXT_CONDITION = re.compile(r"\s([A-Za-z_][\w.]*)\s*(?:<=|>=|!=|=|<|>|~)", re.ASCII)

_ORDERS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_ION_FIELDS = {"cation": "cation_element", "anion": "anion_element"}
"""Fields whose value may be an ion (Ti3+) or its element (Ti)."""


def parse_where(where: str) -> Filter:
    """Return the MongoDB filter of an expression such as ``cation=Ti and (barrier_3d<0.6 or barrier_1d<0.3)``.

    ``!=`` and ``not`` are exact opposites: what has no value fulfils them. ``none`` stands for no value: null, NaN, an
    empty list or dictionary. The filter holds operators of this module only, whatever the text.

    Raises
    ------
    InputError
        Not of the language; the line names the condition, its position and what is allowed.
    """
    if len(where) > MAX_LENGTH:
        raise InputError(f"condition of {len(where)} characters: {MAX_LENGTH} are allowed")
    odd = next((at for at, one in enumerate(where) if not (one.isprintable() or one in "\t\n\r")), None)
    if odd is not None:
        raise InputError(f"condition: character {odd + 1} ({where[odd]!r}) is not allowed, printable ones are")
    return _Parser(where).whole()


@dataclass(frozen=True)
class _Value:
    """A value as it was written, with its place."""

    text: str
    quoted: bool

    @property
    def is_none(self) -> bool:
        return not self.quoted and self.text.lower() == "none"


class _Parser:
    """Recursive descent over a text; `at` is the place that has been reached."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def whole(self) -> Filter:
        found = self._list()
        if self.at < len(self.text):
            self._refuse(self.at, "this closing parenthesis opens nowhere")
        return found

    def _list(self) -> Filter:
        parts: list[Filter] = []
        while True:
            while self._take(","):  # an empty part asks for nothing
                pass
            if self.at == len(self.text) or self._sees(")"):
                return _joined("$and", parts)
            parts.append(self._either())
            if self.at < len(self.text) and not (self._sees(",") or self._sees(")")):
                self._refuse(self.at, "and, or or a comma is allowed between conditions")

    def _either(self) -> Filter:
        parts = [self._all()]
        while self._take_word("or"):
            parts.append(self._all())
        return _joined("$or", parts)

    def _all(self) -> Filter:
        parts = [self._one()]
        while self._take_word("and"):
            parts.append(self._one())
        return _joined("$and", parts)

    def _one(self) -> Filter:
        self._skip_spaces()
        start = self.at
        if self.depth > MAX_DEPTH:
            self._refuse(start, f"more than {MAX_DEPTH} parentheses and nots within one another are not allowed")
        self.depth += 1
        if self._take_word("not"):
            found = {"$nor": [self._one()]}
        elif self._take("("):
            found = self._list()
            if not self._take(")"):
                self._refuse(start, "this parenthesis is not closed")
            if not found:
                self._refuse(start, "a condition is allowed in parentheses, such as (cation=Ti)")
        else:
            found = self._condition()
        self.depth -= 1
        return found

    def _condition(self) -> Filter:
        start = self.at
        name = _FIELD.match(self.text, self.at)
        if name is None:
            self._refuse(start)
        self.at = name.end()
        self._skip_spaces()
        operator = _OPERATOR.match(self.text, self.at)
        if operator is not None:
            self.at = operator.end()
            value = self._value(start, in_list=False)
            return self._meaning(start, name[0], operator[0], value)
        negated = self._take_word("not")
        if self._take_word("in"):
            field = self._field(start, name[0])
            found = _joined("$or", [self._equal(start, field, value) for value in self._values(start)])
            return {"$nor": [found]} if negated else found
        if negated or "." not in name[0] or not self._at_an_end():
            self._refuse(start)
        return {"$nor": [_missing(self._field(start, name[0]))]}

    def _values(self, start: int) -> list[_Value]:
        if not self._take("("):
            self._refuse(start, "values in parentheses are allowed after in, such as cation in (Ti, Al)")
        values = [self._value(start, in_list=True)]
        while self._take(","):
            values.append(self._value(start, in_list=True))
        if not self._take(")"):
            self._refuse(start, "the values after in are not closed by a parenthesis")
        return values

    def _value(self, start: int, *, in_list: bool) -> _Value:
        self._skip_spaces()
        if self.text[self.at : self.at + 1] in ("'", '"'):
            return self._quoted(start)
        first = self.at
        open_here = 0
        while self.at < len(self.text) and not self._sees(","):
            if self._sees(")") and open_here == 0:
                break
            if not in_list and (self._sees_word("and") or self._sees_word("or")):
                break
            open_here += {"(": 1, ")": -1}.get(self.text[self.at], 0)
            self.at += 1
        found = self.text[first : self.at].rstrip()
        if not found:
            self._refuse(start)
        follows = next(filter(_is_field, _NEXT_CONDITION.findall(found)), None)
        if follows is not None:
            self._refuse(start, f"join conditions by and, or or a comma, or quote the value (before {follows!r})")
        return _Value(found, quoted=False)

    def _quoted(self, start: int) -> _Value:
        quote = self.text[self.at]
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            self._refuse(start, f"the quotation mark {quote} is not closed")
        found = self.text[self.at + 1 : end]
        if not found:
            self._refuse(start)
        self.at = end + 1
        if not self._at_an_end():
            self._refuse(start, "after a quoted value and, or, a comma or the end is allowed")
        return _Value(found, quoted=True)

    def _meaning(self, start: int, name: str, operator: str, value: _Value) -> Filter:
        field = self._field(start, name)
        if operator == "=":
            return self._equal(start, field, value)
        if operator == "!=":
            return {"$nor": [self._equal(start, field, value)]}
        if operator == "~":
            if not field.is_text:
                self._refuse(start, "~ is allowed for text and lists of text")
            return {field.name: {"$regex": re.escape(value.text), "$options": "i"}}
        number = _number(value.text) if field.is_number else None
        if number is None:
            self._refuse(start, _allowed(field))
        return {field.name: {_ORDERS[operator]: number}}

    def _equal(self, start: int, field: Field, value: _Value) -> Filter:
        """Return the filter of what has this value; text stays text, also where it looks like a number."""
        if value.is_none:
            return _missing(field)
        wanted: Any = None
        name = field.name
        if field.is_text:
            wanted = value.text
            if not wanted.endswith(("+", "-")):
                name = _ION_FIELDS.get(name, name)
        elif field.is_number:
            wanted = _number(value.text)
        elif bool in field.kinds:
            wanted = {"true": True, "false": False}.get(value.text.lower())
        elif field.is_list:
            cell = _CELL.fullmatch(value.text)
            wanted = [int(number) for number in cell.groups()] if cell else None
        if wanted is None:
            self._refuse(start, _allowed(field))
        return {name: {"$eq": wanted}}

    def _field(self, start: int, name: str) -> Field:
        try:
            return field_of(name)
        except InputError as error:
            self._refuse(start, str(error))

    def _skip_spaces(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _sees(self, symbol: str) -> bool:
        return self.text.startswith(symbol, self.at)

    def _sees_word(self, word: str) -> bool:
        """Whether a keyword begins here; a parenthesis may touch it, a letter or a sign of an ion may not."""
        end = self.at + len(word)
        before = self.text[self.at - 1] if self.at else " "
        after = self.text[end : end + 1] or " "
        found = self.text[self.at : end].lower() == word
        return found and (before.isspace() or before in "()'\",") and (after.isspace() or after in "(),")

    def _take(self, symbol: str) -> bool:
        self._skip_spaces()
        found = self._sees(symbol)
        self.at += len(symbol) * found
        return found

    def _take_word(self, word: str) -> bool:
        self._skip_spaces()
        found = self._sees_word(word)
        self.at += len(word) * found
        return found

    def _at_an_end(self) -> bool:
        self._skip_spaces()
        return (
            self.at == len(self.text) or self.text[self.at] in ",)" or self._sees_word("and") or self._sees_word("or")
        )

    def _refuse(self, start: int, allowed: str | None = None) -> NoReturn:
        reason = allowed or "FIELD OPERATOR VALUE is allowed, such as cation=Ti"
        rest = re.split(r",|\s(?:and|or)\s", self.text[start:], maxsplit=1, flags=re.IGNORECASE)[0].strip()
        rest = rest or self.text.strip()  # something is missing at the very end
        short = rest if len(rest) <= 60 else f"{rest[:60]}…"
        raise InputError(f"condition {short!r} (at character {start + 1}): {reason}")


def _joined(operator: str, parts: list[Filter]) -> Filter:
    if not parts:
        return {}
    return parts[0] if len(parts) == 1 else {operator: parts}


def _missing(field: Field) -> Filter:
    """Return the filter of what has no such value."""
    empty: list[Any] = [None]
    if field.is_number:
        empty.append(math.nan)
    elif field.is_list:
        empty.append([])
    elif field.is_dict:
        empty.append({})
    return {field.name: {"$in": empty}}


def _number(text: str) -> float | None:
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    # a number that is too large to be written is not the infinity of a barrier
    return None if math.isinf(number) and "inf" not in text.lower() else number


def _is_field(name: str) -> bool:
    try:
        field_of(name)
    except InputError:
        return False
    return True


def _allowed(field: Field) -> str:
    if field.is_number:
        return "a number is allowed, or = none"
    if field.is_text:
        return "=, != and ~ are allowed for text"
    if field.is_list:
        return "a size such as 2x2x1 is allowed, or none, after = or !="
    return "true, false or none is allowed" if bool in field.kinds else "= none and != none are allowed, or an entry"
