"""`lzc db`: start, stop and look at the database server; what works on its contents is in `db_contents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from lzc_flows.cli import db_contents
from lzc_flows.cli.common import JsonFlag, emit_json, stdout

if TYPE_CHECKING:
    from lzc_flows.database.server import ServerInfo


def register(app: typer.Typer) -> None:
    """Add the group `db` to `app`."""
    group = typer.Typer(no_args_is_help=True, help="The database server and what it holds.")
    group.command("start")(start)
    group.command("stop")(stop)
    group.command("status")(status)
    db_contents.register(group)
    app.add_typer(group, name="db")


def start(json_output: JsonFlag = False) -> None:
    """Start the embedded database server of the campaigns folder, unless it runs already."""
    from lzc_flows.database.server import start_server
    from lzc_flows.settings import get_settings

    _refuse_external("start")
    document = _embedded(start_server(get_settings().campaigns_dir))
    if json_output:
        emit_json(document)
    else:
        _print_server(document)


def stop(json_output: JsonFlag = False) -> None:
    """Stop the embedded database server of the campaigns folder; the data stay."""
    from lzc_flows.database.server import stop_server
    from lzc_flows.settings import get_settings

    _refuse_external("stop")
    stopped = stop_server(get_settings().campaigns_dir)
    if json_output:
        emit_json({"stopped": stopped})
    else:
        stdout.print("stopped" if stopped else "no embedded database server was running")


def status(json_output: JsonFlag = False) -> None:
    """Say which database server is used and how many documents each collection holds; starts nothing."""
    document = _status()
    if json_output:
        emit_json(document)
        return
    _print_server(document)
    for name, count in (document["collections"] or {}).items():
        stdout.print(f"  {name}: {count}", highlight=False, markup=False, soft_wrap=True)


def _status() -> dict[str, Any]:
    from pydantic import SecretStr

    from lzc_flows.database.address import collection_counts, mongo_uri, redacted
    from lzc_flows.database.server import find_server
    from lzc_flows.settings import get_settings

    settings = get_settings()
    if settings.mongo_uri is not None:
        uri = mongo_uri()
        document = _document(embedded=False, uri=redacted(uri.get_secret_value()))
    elif (server := find_server(settings.campaigns_dir)) is not None:
        uri = SecretStr(server.uri)
        document = _embedded(server)
    else:
        return _document(embedded=True, uri=None) | {"collections": None}
    counts = collection_counts(uri, settings.mongo_database, settings.mongo_timeout_s)
    return document | {"collections": counts}


def _embedded(server: ServerInfo) -> dict[str, Any]:
    from lzc_flows.database.address import redacted

    place = {"pid": server.pid, "port": server.port, "data_dir": str(server.data_dir)}
    return _document(embedded=True, uri=redacted(server.uri)) | place


def _document(*, embedded: bool, uri: str | None) -> dict[str, Any]:
    unknown = {"pid": None, "port": None, "data_dir": None}
    return {"running": uri is not None, "uri": uri, "embedded": embedded} | unknown


def _print_server(document: dict[str, Any]) -> None:
    if not document["running"]:
        line = "embedded database: not running (started by the first command that needs it)"
    elif document["embedded"]:
        line = f"embedded database: {document['uri']}, process {document['pid']}, data in {document['data_dir']}"
    else:
        line = f"MongoDB server: {document['uri']}"
    stdout.print(line, highlight=False, markup=False, soft_wrap=True)


def _refuse_external(verb: str) -> None:
    from lzc_flows.database.address import redacted
    from lzc_flows.errors import InputError
    from lzc_flows.settings import get_settings

    uri = get_settings().mongo_uri
    if uri is not None:
        raise InputError(
            f"cannot {verb} the external MongoDB server at {redacted(uri.get_secret_value())}: "
            "`lzc db` starts and stops only the embedded one (unset LZC_MONGO_URI)"
        )
