"""How long the command line and the embedded services take, and what they hold, on a home and ports of their own.

python benchmarks/bench_start.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from sluice.local import services
from sluice.local.ports import free_port
from sluice.settings import Ports, settings, variable


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def main() -> None:
    """Print one line per measurement."""
    call_help = [sys.executable, "-m", "sluice.cli.main", "--help"]
    best = min(seconds(lambda: subprocess.run(call_help, check=True, capture_output=True)) for _ in range(5))
    print(f"sluice --help, best of 5     {best:6.2f} s")
    with tempfile.TemporaryDirectory() as home:
        os.environ["SLUICE_HOME"] = home
        port = 24_000
        for name in Ports.model_fields:
            port = free_port(port + 1)
            os.environ[variable(Ports, name)] = str(port)
        settings.cache_clear()
        try:
            measure_services()
        finally:
            print(f"down                         {seconds(services.down):6.2f} s")


def measure_services() -> None:
    """Start everything twice, once cold and once as it runs."""
    print(f"up, first time in a home     {seconds(services.up):6.2f} s")
    print(f"up, when everything runs     {seconds(services.up):6.2f} s")
    for each in services.status():
        if each.memory_mb:
            print(f"memory of {each.name:18} {each.memory_mb:6.0f} MB")
    services.down()
    print(f"up, second time in a home    {seconds(services.up):6.2f} s")


if __name__ == "__main__":
    main()
