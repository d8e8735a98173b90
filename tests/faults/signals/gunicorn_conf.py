"""The configuration of gunicorn that docs/guide/deployment.rst shows."""

from __future__ import annotations

from tests.faults.signals.web import after_fork, manager

workers = 2
graceful_timeout = 20
timeout = 4


def post_fork(server: object, worker: object) -> None:
    """Start after the fork."""
    after_fork()


def worker_exit(server: object, worker: object) -> None:
    """Drain, within the graceful timeout."""
    manager.stop(15)
