from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lzc_flows.web.serve import allowed_hosts, is_loopback, take_port, url_of

LZC = Path(sys.executable).with_name("lzc")


def test_a_taken_port_is_named_in_one_line(lzc: Callable, database) -> None:
    with take_port("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = lzc("web", "--port", port)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert f"port {port}" in line
    assert "--port" in line


def test_an_address_of_another_machine_is_refused(lzc: Callable, database) -> None:
    result = lzc("web", "--host", "192.0.2.1", "--port", "0")
    assert result.code == 2
    assert "192.0.2.1" in result.err
    assert len(result.err.splitlines()) == 1


def test_loopback_answers_to_its_names_only() -> None:
    with take_port("localhost", 0) as listener:
        assert is_loopback(listener)
        assert allowed_hosts(listener, "localhost") == ["127.0.0.1", "localhost"]
        assert url_of(listener, "localhost").startswith("http://localhost:")


def test_all_addresses_answer_to_all_names_of_this_machine() -> None:
    with socket.socket() as unheard:  # bound, but nobody can connect
        unheard.bind(("0.0.0.0", 0))
        assert not is_loopback(unheard)
        assert {socket.gethostname(), "127.0.0.1", "localhost"} <= set(allowed_hosts(unheard, "0.0.0.0"))


def test_ctrl_c_ends_it_in_order(database) -> None:
    process = subprocess.Popen(
        [LZC, "web", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def lonely_shell(own_campaigns: Path) -> list[str]:
    """A shell in a network of its own, of which nobody outside hears anything."""
    shell = ["unshare", "--net", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*shell, "ip link set lo up"], check=False).returncode:
        pytest.skip("no network of its own may be made here")
    return shell


def test_a_page_that_others_can_read_says_so(lonely_shell: list[str]) -> None:
    command = f"ip link set lo up && exec {LZC} web --host 0.0.0.0 --port 0"
    process = subprocess.Popen([*lonely_shell, command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == (
            "lzc: everyone who reaches 0.0.0.0 can read all campaigns, without a password; nobody can change any\n"
        )
        assert process.stdout.readline().startswith("http://0.0.0.0:")
    finally:
        process.kill()
        process.communicate()
