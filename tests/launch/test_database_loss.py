from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lzc_flows.database.server import find_server

LZC = Path(sys.executable).with_name("lzc")


def test_a_run_whose_server_is_killed_starts_it_again_and_goes_on(
    tiny: Callable, campaign_file: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "campaigns"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LZC_") or "MODELS" in name}
    command, environment = [LZC, "run", campaign_file(tiny())], {**kept, "LZC_CAMPAIGNS_DIR": str(folder)}
    try:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            while not (folder / "tiny" / "launches" / "relax").is_dir():
                assert run.poll() is None
                time.sleep(0.05)
            server = find_server(folder)
            assert server is not None
            os.kill(server.pid, signal.SIGKILL)
            _, stderr = run.communicate(timeout=240)
        assert b"Traceback" not in stderr
        assert run.returncode == 0
        assert (folder / "tiny" / "report" / "heatmap.png").is_file()
        again = find_server(folder)
        assert again is not None
        assert again.pid != server.pid
    finally:
        server = find_server(folder)
        if server is not None:
            psutil.Process(server.pid).kill()
