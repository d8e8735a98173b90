"""Flask: the extension ``AspyxEvent``, ``flask events ...`` and a blueprint for health checks. See docs/flask.rst."""

from __future__ import annotations

from aspyx_event.integrations.flask.extension import AspyxEvent
from aspyx_event.integrations.flask.health import health_blueprint
from aspyx_event.integrations.flask.state import AppEvents

__all__ = ["AppEvents", "AspyxEvent", "health_blueprint"]
