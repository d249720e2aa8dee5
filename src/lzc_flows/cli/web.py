"""`lzc web`: the live page."""

from __future__ import annotations

from typing import Annotated

import typer

from lzc_flows.cli.common import stderr, stdout
from lzc_flows.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("web")(web)


def web(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")] = 8100,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine see the page there.")] = (
        "127.0.0.1"
    ),
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show all campaigns in a browser, as they go on: read-only, on this machine alone unless --host says otherwise."""
    try:
        from lzc_flows.web import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lzc_flows"):
            raise
        raise InputError(f"{error.name} is not installed: run `pip install 'lzc-flows[web]'`") from None
    from lzc_flows.database.stores import connect

    with serve.take_port(host, port) as listener:
        if not serve.is_loopback(listener):
            warning = (
                f"lzc: everyone who reaches {host} can read all campaigns, without a password; nobody can change any"
            )
            stderr.print(warning, style="yellow", highlight=False, markup=False, soft_wrap=True)
        database = connect()
        url = serve.url_of(listener, host)
        stdout.print(f"{url} (Ctrl-C ends it)", highlight=False, markup=False, soft_wrap=True)
        if open_browser:
            typer.launch(url)
        serve.serve(database, listener, host)
