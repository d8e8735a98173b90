"""RabbitMQ's HTTP management, for what the tests assert on."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any


def api(broker: Any, method: str, path: str, body: Any = None) -> Any:
    """Call it; the decoded answer, None for an empty one."""
    login = base64.b64encode(f"{broker.user}:{broker.password}".encode()).decode()
    request = urllib.request.Request(
        f"http://{broker.host}:{broker.management_port}/api{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None
