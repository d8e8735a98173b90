"""Run a broker by hand: print how to reach it, wait for Ctrl-C or SIGTERM, leave nothing behind."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Broker

_ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def run_by_hand(kind: type[Broker]) -> None:
    """Start one broker of this kind and keep it until the process is told to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with kind() as broker:
        for key, value in broker.describe().items():
            sys.stdout.write(f"{key + ':':20}{value}\n")
        sys.stdout.write("Ctrl-C ends it.\n")
        sys.stdout.flush()
        signal.sigwait(_ENDS)
