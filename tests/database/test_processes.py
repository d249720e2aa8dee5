from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from lzc_flows.database.processes import ProcessName
from lzc_flows.processes import started_s_after_boot


def named(process: subprocess.Popen) -> ProcessName:
    started = started_s_after_boot(psutil.Process(process.pid))
    return replace(ProcessName.of_this_process(), pid=process.pid, started=started)


def test_a_living_process_is_not_dead() -> None:
    me = ProcessName.of_this_process()
    assert me.pid == os.getpid()
    assert me.is_here()
    assert not me.is_dead()
    assert not ProcessName.parse(str(me)).is_dead()


def test_a_killed_process_is_dead_also_before_its_parent_has_reaped_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    name = named(process)
    assert not name.is_dead()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert name.is_dead()
    process.wait()
    assert name.is_dead()


def test_an_id_that_another_process_has_now_is_not_taken_for_it() -> None:
    assert replace(ProcessName.of_this_process(), started=1.0).is_dead()


def test_of_a_process_on_another_host_nothing_is_known() -> None:
    elsewhere = replace(ProcessName.of_this_process(), host="elsewhere", pid=2**22)
    assert not elsewhere.is_here()
    assert not elsewhere.is_dead()


def test_names_read_back() -> None:
    name = ProcessName("node-1.example.org", 4711, 12.5)
    assert str(name) == "lzc/node-1.example.org/4711/12.50"
    assert ProcessName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["", "node-1", "lzc", "lzc/a/b/c", "lzc/a/1/2.5/x", "other/a/1/2.5", "lzc/a/1/"])
def test_names_that_other_programs_give_are_nobodys(text: str) -> None:
    assert ProcessName.parse(text) is None
