"""What the library costs before an event is sent: the time to import it, and memory. Each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measuring import Figures
from tests.benchmarks.samples import Place

_IMPORT = "import time; begin = time.perf_counter(); {what}; print((time.perf_counter() - begin) * 1000)"
_MEMORY = (
    "import os\n{what}\nfor line in open('/proc/self/status'):\n    if line.startswith('VmRSS'): print(line.split()[1])"
)
_OURS = """
from tests.benchmarks import ours
from tests.benchmarks.samples import Place
import os
manager = ours.running(Place(os.environ["BENCH_URL"], "", 0, "", "", "", ""), listen=True)
manager.__enter__()
"""
_RAW = """
import threading
from proton.handlers import MessagingHandler
from proton.reactor import Container
class Reader(MessagingHandler):
    attached = threading.Event()
    def on_start(self, event):
        event.container.create_receiver(os.environ["BENCH_URL"] + os.environ["BENCH_SOURCE"])
    def on_link_opened(self, event):
        self.attached.set()
threading.Thread(target=Container(Reader()).run, daemon=True).start()
assert Reader.attached.wait(30)
"""


def _run(program: str, **environment: str) -> float:
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport os, sys; sys.stdout.flush(); os._exit(0)"],
        env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": ""},  # installed packages are compiled, too
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return float(ended.stdout)


def imported(what: str) -> Figures:
    """Milliseconds that an import statement takes in a new interpreter, the lower of two."""
    return {"import ms": min(_run(_IMPORT.format(what=what)) for _ in range(2))}


def at_rest(place: Place, *, of_ours: bool) -> Figures:
    """MB of a process that waits for events, with one listener, or with one receiver of a raw client."""
    program = _MEMORY.format(what=_OURS if of_ours else _RAW)
    return {"MB": _run(program, BENCH_URL=place.url, BENCH_SOURCE=place.source) / 1024}
