"""The page on a port: taken before anything is promised, left in order."""

from __future__ import annotations

import errno
import ipaddress
import socket

import psutil
import uvicorn

from lzc_flows.database.stores import Database
from lzc_flows.errors import InputError
from lzc_flows.web.app import create_app
from lzc_flows.web.live import Live
from lzc_flows.web.source import Source

LOOPBACK = ("127.0.0.1", "localhost")

_PARTING_S = 2
"""How long requests that are under way are waited for at the end, in s."""


def take_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any free one.

    Raises
    ------
    InputError
        The port is taken or not allowed, or the host is no address of this machine.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((place[0], port), family=family)
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise InputError(f"port {port} of {host} is taken: give another one with --port, or 0 for any") from None
        if code in (errno.EACCES, errno.EPERM):
            raise InputError(f"port {port} of {host} is not allowed: give one above 1023 with --port") from None
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"host {host!r}: no address of this machine to listen on ({reason})") from None


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url_of(listener: socket.socket, host: str) -> str:
    """Return the page's address."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"


def allowed_hosts(listener: socket.socket, host: str) -> list[str]:
    """Return the names by which a browser may ask: loopback's, the given one, all of this machine's where it is ANY."""
    names = {*LOOPBACK, host}
    if ipaddress.ip_address(listener.getsockname()[0]).is_unspecified:
        names |= {socket.gethostname(), socket.getfqdn()}
        names |= {entry.address for entries in psutil.net_if_addrs().values() for entry in entries}
    return sorted(f"[{name}]" if ":" in name else name for name in names)


def serve(database: Database, listener: socket.socket, host: str) -> None:
    """Serve the page until Ctrl-C."""
    app = create_app(Live(Source(database)), allowed_hosts(listener, host))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_PARTING_S,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn has ended in order, and tells whoever called
        return
