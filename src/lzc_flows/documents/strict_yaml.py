"""YAML in which each key stands once, and one line for the first thing wrong in it."""

from __future__ import annotations

import difflib
import math
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lzc_flows.errors import InputError

MOST_BYTES = 1_000_000
"""Of a file, also with its aliases written out, of which nine lines can stand for a billion values. A campaign of
100,000 combinations takes a hundredth of it, and PyYAML reads no more in some seconds."""

_LARGEST = 2**63 - 1  # of the integers that MongoDB stores
_LONGEST_LINE, _LONGEST_PART = 1000, 100


class StrictLoader(yaml.SafeLoader):
    """YAML that is what it seems: keys stand once, aliases stand for little, values can be stored.

    Of two equal keys, PyYAML would silently take the last. Integers have 64 bits and texts are Unicode, as in MongoDB.
    """

    def construct_document(self, node: yaml.Node) -> Any:
        """Return the document; raise a YAML error at aliases that stand for too much."""
        if _size(node, {}) > MOST_BYTES:
            raise yaml.composer.ComposerError(None, None, f"aliases for more than {MOST_BYTES:,} bytes")
        return super().construct_document(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return what a node stands for; raise a YAML error also where PyYAML lets its constructors fail."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, KeyError):  # a date of month 99, a !!int that is none
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            raise yaml.constructor.ConstructorError(None, None, f"no value of type {kind}", node.start_mark) from None
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise yaml.constructor.ConstructorError(None, None, "an integer of more than 64 bits", node.start_mark)
        if isinstance(value, str) and not _is_text(value):
            raise yaml.constructor.ConstructorError(None, None, "characters that are no text", node.start_mark)
        return value

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping; raise a YAML error at a key that stands twice."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, what: str, keys: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; error lines call the file `what`, and say that it has `keys`.

    Raises
    ------
    InputError
        No such file, more than `MOST_BYTES`, not YAML, not a mapping.
    """
    if not path.is_file():
        raise InputError(f"{what} {path}: no such file")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{what} {path}: {size:,} bytes; at most {MOST_BYTES:,} are allowed")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path}: not YAML ({one_line(' '.join(str(error).split()))})") from None
    except RecursionError:
        raise InputError(f"{what} {path}: lists and mappings within one another, too deep to read") from None
    if not isinstance(content, dict):
        raise InputError(f"{what} {path}: a mapping with {keys} is allowed")
    return content


def one_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return a text that may quote a whole file as one line of bounded length, without characters that steer."""
    shown = text if len(text) <= longest else f"{text[:longest]} ..."
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in shown)


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return the characters and nodes in a node, aliases written out; infinite where it holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1 + len(node.value)
    if id(node) not in known:
        known[id(node)] = math.inf
        parts = chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _is_text(value: str) -> bool:
    """Whether it can be stored and printed: no half of a surrogate pair, no null."""
    return "\x00" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def first_error(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first error of a model's validation as one line that names the key and what is allowed."""
    # a misspelt key that is required is also a missing one: its spelling is what helps
    unknown = [entry for entry in error.errors() if entry["type"] == "extra_forbidden"]
    first = (unknown or error.errors())[0]
    location = ".".join(one_line(str(part), _LONGEST_PART) for part in first["loc"])
    where = f"{location}: " if location else ""
    if first["type"] != "extra_forbidden":
        # the error of a whole mapping names its values itself
        own = first["type"] == "missing" or isinstance(first["input"], dict)
        value = "" if own else f" (given: {one_line(repr(first['input']), _LONGEST_PART)})"
        return f"{where}{one_line(first['msg'].removeprefix('Value error, '))}{value}"
    allowed = _allowed_keys(first["loc"], model)
    given = str(first["loc"][-1])
    # a key without its unit is far from the whole one by its letters
    near = difflib.get_close_matches(given, allowed, n=1) or [key for key in allowed if key.startswith(given)]
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{where}unknown key; {hint}allowed are {', '.join(allowed)}"


def _allowed_keys(location: tuple[int | str, ...], model: Any) -> list[str]:
    for part in location[:-1]:
        # a number is a place in a list, whose items' model stands in its brackets
        model = _model(get_args(model)[0] if isinstance(part, int) else model.model_fields[part].annotation)
    return list(model.model_fields)


def _model(annotation: Any) -> Any:
    """Return the model of a field that may be left out, such as ``AimdStage | None``."""
    models = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0] if models and type(None) in get_args(annotation) else annotation
