"""Settings; the environment says which databases and which broker."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any
from urllib.parse import urlsplit

_DIRECTORY = os.environ.setdefault("SHOP_DIRECTORY", tempfile.gettempdir())
_NAME = __name__.rpartition(".")[0]


def _database(alias: str) -> dict[str, Any]:
    url = os.environ.get("SHOP_DATABASE", "")
    if not url:
        file = os.path.join(_DIRECTORY, f"{alias}.sqlite3")
        tests = {"NAME": os.path.join(_DIRECTORY, f"test-{alias}.sqlite3")}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "TEST": tests, "OPTIONS": {"timeout": 30}}
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": alias,
        "USER": parts.username,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "CONN_MAX_AGE": None,
        "OPTIONS": {"application_name": "listener" if "listen" in sys.argv else "shop"},
    }


DEBUG = os.environ.get("SHOP_DEBUG") == "1"
SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = f"{_NAME}.urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "aspyx_event.integrations.django", f"{_NAME}.orders"]
INSTALLED_APPS += os.environ.get("SHOP_APPS", "").split()
MIDDLEWARE: list[str] = []
DATABASES = {"default": _database("default"), "archive": _database("archive")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"aspyx_event": {"handlers": ["console"], "level": "INFO"}},
}

ASPYX_EVENT = {
    "URL": os.environ.get("ASPYX_EVENT_URL", "local://"),
    "RETRY": {"immediate": 1, "immediate_wait": [0], "delayed": []},
    "STOP_TIMEOUT": 20,
}
