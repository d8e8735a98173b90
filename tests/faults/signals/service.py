"""A service as the guide shows it: ``python -m tests.faults.signals.service URL PREFIX LEDGER OPTIONS``.

OPTIONS is JSON: ``seconds`` and ``block`` of the listener, ``timeout`` of run(), ``start`` False to leave the start to
run() itself.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from aspyx_event import EventManager, EventRegistry
from tests.faults.ledger import Ledger
from tests.faults.signals.event import event_of, listener_of


def main(url: str, prefix: str, ledger: str, given: str) -> int:
    """Run until a signal."""
    options = {"seconds": 0.0, "block": -1, "timeout": 30.0, "start": True, **json.loads(given)}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with Ledger(Path(ledger)) as book:
        listener = listener_of(
            event_of(prefix), prefix, book, seconds=options["seconds"], block=options["block"], concurrency=4
        )
        manager = EventManager(url, registry=EventRegistry().register(listener), workers=4)
        if options["start"]:
            manager.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        return manager.run(options["timeout"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
