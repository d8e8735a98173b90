"""``manage.py events listen|send|describe|check|errors``: what ``aspyx-event`` does, for the events of this project."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import autoreload

from aspyx_event.cli.actions import errors as dead_letters
from aspyx_event.cli.actions.describing import counted, describe
from aspyx_event.cli.actions.listening import listen
from aspyx_event.cli.actions.sending import body_from, event_named, headers_from, send
from aspyx_event.cli.application import sending
from aspyx_event.cli.codes import FOUND, OK, code_of
from aspyx_event.cli.screen import PlainScreen, Screen, screen_for_output
from aspyx_event.exceptions import ConfigurationError, EventError
from aspyx_event.integrations.django import state
from aspyx_event.integrations.django.arguments import add_actions, selection_of
from aspyx_event.integrations.django.database import close_kept
from aspyx_event.manager import EventManager


class Command(BaseCommand):
    """The events of this project."""

    help = "Listen to events, send them, and look after those that failed."

    def add_arguments(self, parser: CommandParser) -> None:
        """See Django."""
        add_actions(parser)

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """See Django. The errors of the library become a sentence and an exit code."""
        try:
            code: int = getattr(self, f"_{action}")(**options)
        except EventError as error:
            raise CommandError(str(error), returncode=code_of(error)) from error
        if code:
            sys.exit(code)

    def _listen(self, *, autoreload: bool, as_json: bool, **_rest: Any) -> int:
        settings = _settings()
        if autoreload:
            self._listen_and_reload()
            return OK
        code = listen(state.get_manager(), self._screen(), stop_timeout=settings.stop_timeout, as_json=as_json)
        close_kept()
        return code

    def _send(self, *, event: str, body: str, header: list[str], timeout: float, **options: Any) -> int:
        names = ("key", "delay", "ttl", "id", "as_json")
        chosen = {name: options[name] for name in names}
        with _connected(timeout) as manager:
            kind = event_named(manager.registry, event, owner="project")
            text = body_from(body)
            return send(manager, self._screen(), kind, text, headers=headers_from(header), timeout=timeout, **chosen)

    def _describe(self, *, as_json: bool, **_rest: Any) -> int:
        return describe(state.get_manager(), self._screen(), as_json=as_json)

    def _check(self, *, timeout: float, as_json: bool, **_rest: Any) -> int:
        settings = state.current().settings
        manager = state.make_manager(settings)
        differences = manager.check_topology(timeout)
        if as_json:
            self._screen().json([difference.to_dict() for difference in differences])
            return FOUND if differences else OK
        self.stdout.write(f"{counted(manager.registry)} on {settings.shown_url}")
        for difference in differences:
            self.stdout.write(str(difference))
        if differences:
            self.stdout.write("what is missing is created by the first start, unless declare=false keeps it from that")
            return FOUND
        self.stdout.write("everything is there")
        return OK

    def _errors(self, *, errors: str, timeout: float, as_json: bool, **options: Any) -> int:
        selection = selection_of(**options)
        if errors in ("replay", "discard") and options["everything"] != selection.everything:
            raise ConfigurationError(
                "which ones? Give ids, or --listener, --type, --since, --limit, or --all by itself"
            )
        more = {"confirm": self._yes if options["yes"] else self._asked} if errors == "discard" else {}
        act: Any = getattr(dead_letters, f"{errors}_errors")
        with _connected(timeout) as manager:
            code: int = act(manager, self._screen(), selection, as_json=as_json, **more)
            return code

    def _screen(self) -> Screen:
        out, err = cast("TextIO", self.stdout), cast("TextIO", self.stderr)
        return screen_for_output() if out.isatty() else PlainScreen(out, err)

    def _yes(self, _question: str) -> bool:
        return True

    def _asked(self, question: str) -> bool:
        self.stderr.write(f"{question} [y/N] ", ending="")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _listen_and_reload(self) -> None:
        """Django's reloader runs this command as a child, which ends when a file changes, and runs it again."""
        if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
            autoreload.run_with_reloader(self._listen_in_a_thread)
            return
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(OK))
        with contextlib.suppress(KeyboardInterrupt):
            while (code := autoreload.restart_with_reloader()) > 0:
                # Django itself forgives a file that cannot be imported for runserver only.
                looks = autoreload.StatReloader().tick()
                next(looks)
                self.stderr.write(f"it ended with {code}; waiting for a change of the code")
                with contextlib.suppress(SystemExit):  # its way to tell of one
                    collections.deque(looks, maxlen=0)

    def _listen_in_a_thread(self) -> None:
        autoreload.raise_last_exception()
        try:
            manager = state.current().lazy.start(listen=True)
            self.stdout.write(f"{manager.describe()}\n\nlistening; Ctrl-C ends it, a change of the code starts it anew")
        except EventError as error:
            self.stderr.write(f"{error}\nwaiting for a change of the code")
        threading.Event().wait()  # the end of the process stops the manager, and lets running listeners finish


def _settings() -> Any:
    """The settings. Raises ConfigurationError where no other process has anything to do with this one's events."""
    settings = state.current().settings
    settings.check_not_local()
    return settings


@contextlib.contextmanager
def _connected(timeout: float) -> Iterator[EventManager]:
    """A manager for this command alone, started and without listeners."""
    with sending(state.make_manager(_settings()), timeout) as manager:
        yield manager
