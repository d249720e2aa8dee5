"""`lzc models`: model files that are fetched at set-up."""

from __future__ import annotations

from typing import Annotated

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stderr, stdout


def register(app: typer.Typer) -> None:
    """Add the group `models` to `app`."""
    group = typer.Typer(help="Model files of interatomic potentials.", no_args_is_help=True)
    group.command("install")(install)
    group.command("list")(list_models)
    app.add_typer(group, name="models")


def install(
    name: Annotated[str, typer.Argument(help="Name of the model, such as nep89.")],
    json_output: JsonFlag = False,
) -> None:
    """Download a model file, check its checksum and keep it; does nothing if it is there."""
    from lzc_flows.engines.models import model

    file = model(name)
    with stderr.status(f"fetching {name} ..."):
        path = file.install()
    if json_output:
        emit_json({"name": name, "path": str(path), "sha256": file.sha256})
    else:
        stdout.print(f"{name}: {path}", soft_wrap=True)


def list_models(json_output: JsonFlag = False) -> None:
    """List the known models and whether they are installed."""
    from lzc_flows.engines.models import MODELS

    rows = [
        {"name": file.name, "installed": file.installed(), "source": file.source, "licence": file.licence}
        for file in MODELS.values()
    ]
    if json_output:
        emit_json(rows)
        return
    for row in rows:
        state = "installed" if row["installed"] else f"not installed: lzc models install {row['name']}"
        stdout.print(f"{row['name']}: {state}; {row['licence']}; {row['source']}", soft_wrap=True)
