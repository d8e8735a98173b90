"""gunicorn reads this file; each worker has its own connection to the broker."""

from web import manager

workers = 2
graceful_timeout = 30


def worker_exit(server: object, worker: object) -> None:
    """Called in the worker, at its end: send what is under way, and disconnect."""
    manager.stop(20)
