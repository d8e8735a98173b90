"""The public API as a whole."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import aspyx_event
from tests.unit.support import run_script


def test_all_is_what_the_package_offers() -> None:
    """``__all__`` is sorted, and what the package offers, apart from providers whose packages may be missing; type
    checkers see the same names, from the same modules."""
    others = {"AMQPProvider", "AMQProvider", "SqliteProvider", "StompProvider"}
    assert aspyx_event.__all__ == sorted(set(aspyx_event._MODULES) - others)
    assert set(aspyx_event._MODULES) <= set(dir(aspyx_event))
    source = ast.parse(Path(str(aspyx_event.__file__)).read_text())
    [checked] = [node for node in source.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == aspyx_event._MODULES


def test_names_are_imported_on_their_first_use() -> None:
    """The package alone imports nothing; a name is the one of its module, and looked up once."""
    code = """
import sys, aspyx_event
print([name for name in sys.modules if name.startswith("aspyx_event.") or name == "pydantic"])
from aspyx_event import event
import aspyx_event.events
print(event is aspyx_event.events.event, "event" in vars(aspyx_event))
"""
    assert run_script(code).stdout == "[]\nTrue True\n"


def test_every_exception_is_at_the_top() -> None:
    """Every exception of aspyx_event.exceptions is at the top level."""
    from aspyx_event import exceptions

    found = {
        name for name, value in vars(exceptions).items() if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert found <= set(aspyx_event.__all__)


def test_everything_public_has_a_docstring() -> None:
    """Everything public has a docstring."""
    for name in aspyx_event.__all__:
        assert inspect.getdoc(getattr(aspyx_event, name)), name


def test_unknown_attribute() -> None:
    """An unknown attribute is an AttributeError."""
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = aspyx_event.Nothing


FOREIGN = ("proton", "cproton", "stomp", "sqlite3", "rich", "click", "flask", "django")


@pytest.mark.parametrize("statement", ["import aspyx_event", "from aspyx_event import *"])
def test_import_is_light(statement: str) -> None:
    """Importing the package imports neither proton nor stomp nor rich, and starts no thread."""
    result = run_script(f"""
import sys, threading
{statement}
print([name for name in {FOREIGN} if name in sys.modules], threading.active_count())
""")
    assert (result.stdout, result.stderr) == ("[] 1\n", "")


def test_logging_is_left_alone() -> None:
    """Importing and using the package configures no logging."""
    result = run_script("""
import logging
from aspyx_event import EventManager
with EventManager("local://"):
    pass
root = logging.getLogger()
print(root.handlers, root.level == logging.WARNING, logging.getLogger("aspyx_event").handlers)
""")
    assert result.stdout == "[] True []\n"


@pytest.mark.parametrize(
    ("extra", "packages", "provider"), [("amqp", "proton cproton", "AMQPProvider"), ("stomp", "stomp", "StompProvider")]
)
def test_without_the_extra(extra: str, packages: str, provider: str) -> None:
    """Without the package of a provider, using it names the extra to install."""
    result = run_script(f"""
import sys
for package in "{packages}".split():
    sys.modules[package] = None
import aspyx_event
for use in (lambda: aspyx_event.{provider}("web"), lambda: aspyx_event.EventManager("{extra}://me:hunter2@h")):
    try:
        use()
    except Exception as error:
        text = f"{{error}} {{error.__cause__}}"
        print("pip install aspyx-event[{extra}]" in text, "hunter2" in text)
""")
    assert result.stdout == "True False\nTrue False\n", result.stderr
