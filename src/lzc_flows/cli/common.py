"""What every command shares: one JSON document on stdout, everything else on stderr."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from lzc_flows.documents.finite import finite
from lzc_flows.errors import InputError, InputWarning

if TYPE_CHECKING:
    from lzc_flows.documents.dft import DftProtocol
    from lzc_flows.documents.engine import EngineSpec
    from lzc_flows.documents.protocols import Protocol

    AnyProtocol = TypeVar("AnyProtocol", bound=Protocol)

WalltimeOption = Annotated[
    float | None, typer.Option(help="Stop in order after this time; by default before the batch job ends.")
]
EngineOption = Annotated[str, typer.Option(help="nep, chgnet, cp2k or vasp.")]
DftOption = Annotated[
    str | None, typer.Option(help="Of cp2k and vasp: lzc, lzc-aimd or lzrc, the numbers of the sources.")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

stdout = Console()
stderr = Console(stderr=True)
if not stdout.is_terminal:
    stdout.width = 250  # a file or a pipe has no edge at which a table must be cut


def emit_json(document: Any) -> None:
    """Print `document` as JSON on stdout; NaN and infinities become null, as JSON has no word for them."""
    print(json.dumps(finite(document), indent=2, ensure_ascii=False, default=str))


def number_text(value: float | None) -> str:
    """Return a number of a table with three decimals, a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def protocol_of(kind: type[AnyProtocol], settings: Mapping[str, Any]) -> AnyProtocol:
    """Return a protocol with these settings.

    Raises
    ------
    InputError
        A value that is not allowed; the line names the setting.
    """
    from pydantic import ValidationError

    try:
        return kind(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{first['loc'][0]}: {said} (given: {first['input']})") from None


def chosen_engine(name: str, dft: str | None, default: DftProtocol) -> EngineSpec:
    """Return the engine of a command's options, its electrons treated as `default` says where no name is given.

    Raises
    ------
    InputError
        No such engine or numbers, or numbers for an engine without electrons.
    """
    from lzc_flows.documents.dft import NAMED_DFT
    from lzc_flows.documents.engine import engine_spec

    engine = engine_spec(name, default)
    if dft is None:
        return engine
    if not engine.is_dft:
        raise InputError(f"--dft {dft}: engine {name!r} has no electrons; cp2k and vasp have")
    if dft not in NAMED_DFT:
        raise InputError(f"--dft {dft}: allowed are {', '.join(NAMED_DFT)}")
    return engine.model_copy(update={"dft": NAMED_DFT[dft]})


def stop_at_s(walltime_minutes: float | None) -> float | None:
    """Return the time since the epoch, in s, at which a run should stop: the settings' where no length is given.

    Raises
    ------
    InputError
        A length that is not positive.
    """
    from lzc_flows.settings import get_settings

    if walltime_minutes is None:
        return get_settings().stop_at_s
    if not walltime_minutes > 0:
        raise InputError(f"--walltime-minutes {walltime_minutes:g}: above 0 is allowed")
    return time.time() + 60 * walltime_minutes


@contextmanager
def every_second(look: Callable[[], None]) -> Iterator[None]:
    """Call `look` each second while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print each `InputWarning` as one line on stderr, other warnings as Python does."""
    as_python = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if issubclass(category, InputWarning):
            stderr.print(f"lzc: {message}", style="yellow", highlight=False, markup=False, soft_wrap=True)
        else:
            as_python(message, category, *place, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = show
        yield
