"""The `lzc` command: registers the groups and turns exceptions into one line and an exit code."""

from __future__ import annotations

import errno
import sys

import typer

from lzc_flows.cli import (
    aimd,
    arrhenius,
    barriers,
    bvse,
    campaign,
    cost,
    db,
    diffusion,
    doctor,
    grid,
    hops,
    init,
    inputs,
    launch,
    models,
    neb,
    order,
    query,
    recover,
    rehearse,
    report,
    status,
    web,
)
from lzc_flows.cli.common import stderr, warnings_as_lines
from lzc_flows.errors import CalculationError, InputError

app = typer.Typer(
    name="lzc",
    help="Screen doped Li2ZrCl6 halide electrolytes: grids, jobs, MongoDB, ranked heatmaps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    init,
    campaign,
    launch,
    status,
    recover,
    report,
    query,
    grid,
    order,
    bvse,
    hops,
    neb,
    barriers,
    aimd,
    diffusion,
    arrhenius,
    inputs,
    rehearse,
    cost,
    models,
    doctor,
    db,
    web,
):
    group.register(app)


def main() -> None:
    """Run `lzc`: exit 0 on success, 1 on a failed calculation, 2 on bad input with one clear line."""
    try:
        with warnings_as_lines():
            app()
    except InputError as error:
        _leave(str(error), code=2)
    except CalculationError as error:
        _leave(str(error), code=1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = error.filename or "the working directory"
        _leave(f"disk full while writing {where}: free some space and run the same command again", code=2)
    except Exception as error:
        if type(error).__module__ != "pymongo.errors":  # asked by name: most commands never import pymongo
            raise
        # the driver's own message may hold the URI
        reason = type(error).__name__
        _leave(f"the database failed ({reason}): see `lzc db status`, then run the same command again", code=1)


def _leave(message: str, code: int) -> None:
    stderr.print(f"lzc: {message}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    sys.exit(code)
