"""``/health``: what a load balancer, Kubernetes or a person wants to know of a web process."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from flask import Blueprint, Response, jsonify

from aspyx_event.delivery.health import Health, ListenerHealth
from aspyx_event.exceptions import EventError
from aspyx_event.integrations.flask.state import AppEvents, current_events

READY_TIMEOUT = 2.0
_PRIVATE = ("last_error", "detail")


def health_blueprint(
    name: str = "aspyx_event_health", *, details: bool = False, timeout: float = READY_TIMEOUT
) -> Blueprint:
    """A blueprint with ``/health``, ``/health/live`` and ``/health/ready``, which answer 200 or 503, and JSON.

    live: the process answers, and its manager, if it has one that was started, runs. ready: it is connected, and no
    listener is detached; a process that has sent nothing yet connects for this question, within ``timeout`` seconds.
    ``/health`` shows what there is, and connects to nothing: 503 where the status is ``down``; a process that has sent
    nothing is ``idle``.

    details: True also shows texts of errors, which may hold what your events hold: not for everybody's eyes.
    """
    blueprint = Blueprint(name, __name__)

    @blueprint.get("/health")
    def health() -> tuple[Response, int]:
        found = _answer(current_events(), details)
        return jsonify(found), 503 if found["status"] == "down" else 200

    @blueprint.get("/health/live")
    def live() -> tuple[Response, int]:
        found = _answer(current_events(), details)
        return jsonify({"status": found["status"], "live": found["live"]}), 200 if found["live"] else 503

    @blueprint.get("/health/ready")
    def ready() -> tuple[Response, int]:
        events = current_events()
        reason = _connect(events, timeout)
        found = _answer(events, details)
        body = {"status": found["status"], "ready": found["ready"]}
        if reason is not None:
            body["reason"] = reason
        return jsonify(body), 200 if found["ready"] else 503

    return blueprint


def _connect(events: AppEvents, timeout: float) -> Optional[str]:
    """Start the manager if it never was; the kind of error when it cannot be."""
    if events.lazy.started:
        return None
    try:
        events.lazy.start(timeout)
    except EventError as error:
        return type(error).__name__
    return None


def _answer(events: AppEvents, details: bool) -> dict[str, Any]:
    try:
        health = events.manager.health()
        idle = not events.lazy.started
    except EventError:  # it cannot be made; sending, and /health/ready, say why
        health, idle = Health("down", live=False, ready=False), False
    return {
        "status": "idle" if idle else health.status,
        "live": idle or health.live,
        "ready": health.ready,
        "listeners": {name: _shown(listener, details) for name, listener in health.listeners.items()},
    }


def _shown(listener: ListenerHealth, details: bool) -> dict[str, Any]:
    values = dataclasses.asdict(listener)
    return values if details else {key: value for key, value in values.items() if key not in _PRIVATE}
