"""YAML in which each key stands once, and one line for the first thing wrong in it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lzc_flows.errors import InputError


class StrictLoader(yaml.SafeLoader):
    """YAML whose keys stand once: of two, PyYAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping; raise a YAML error at a key that stands twice."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, key in enumerate(keys):
            if any(key.value == other.value for other in keys[:number]):
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, what: str, keys: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; error lines call the file `what`, and say that it has `keys`.

    Raises
    ------
    InputError
        No such file, not YAML, not a mapping.
    """
    if not path.is_file():
        raise InputError(f"{what} {path}: no such file")
    try:
        content = yaml.load(path.read_text(), StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise InputError(f"{what} {path}: a mapping with {keys} is allowed")
    return content


def first_error(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first error of a model's validation as one line that names the key and what is allowed."""
    # a misspelt key that is required is also a missing one: its spelling is what helps
    unknown = [entry for entry in error.errors() if entry["type"] == "extra_forbidden"]
    first = (unknown or error.errors())[0]
    location = ".".join(str(part) for part in first["loc"])
    where = f"{location}: " if location else ""
    if first["type"] != "extra_forbidden":
        # the error of a whole mapping names its values itself
        value = (
            "" if first["type"] == "missing" or isinstance(first["input"], dict) else f" (given: {first['input']!r})"
        )
        return f"{where}{first['msg'].removeprefix('Value error, ')}{value}"
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
