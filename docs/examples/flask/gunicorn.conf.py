"""``gunicorn -c docs/examples/flask/gunicorn.conf.py --chdir docs/examples/flask 'shop:create_app()'``"""

from __future__ import annotations

from typing import Any

workers = 2
threads = 4


def post_worker_init(worker: Any) -> None:
    """Connect before the first request; the worker starts also when the broker is away."""
    from shop import events

    from aspyx_event import ProviderError

    with worker.wsgi.app_context():
        try:
            events.start(timeout=5)
        except ProviderError as error:
            worker.log.warning("no events yet: %s", error)
