"""``manage.py events listen|describe|check``."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import autoreload

from aspyx_event.exceptions import ConfigurationError, EventError
from aspyx_event.integrations.django import state
from aspyx_event.manager import START_TIMEOUT, EventManager

OK, FOUND, WRONG, NO_ANSWER = 0, 1, 2, 3
"""The exit codes: done; something is not as it should be; wrong usage or settings; the broker could not be asked."""
_ONLY_LOCAL = (
    "the events of local:// stay in the process that sends them, which listens by itself: for a process that listens, "
    "ASPYX_EVENT['URL'] has to name a broker"
)


class Command(BaseCommand):
    """The events of this project."""

    help = "Listen to events, send them, and look after those that failed."

    def add_arguments(self, parser: CommandParser) -> None:
        """See Django."""
        actions = parser.add_subparsers(dest="action", metavar="action", required=True)
        listen = actions.add_parser(
            "listen", help="handle events until Ctrl-C or SIGTERM; then let running listeners finish"
        )
        listen.add_argument(
            "--autoreload", action="store_true", help="for development: start anew when a file of the code changes"
        )
        actions.add_parser("describe", help="show which listeners there are, and which queues they read")
        check = actions.add_parser(
            "check", help="check that the broker has what events and listeners need; creates nothing"
        )
        check.add_argument(
            "--timeout",
            type=float,
            default=START_TIMEOUT,
            help="seconds for its answers (default: %(default)g)",
        )

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """See Django. The errors of the library become a sentence and an exit code."""
        with _errors_shown():
            code: int = getattr(self, f"_{action}")(**options)
        if code:
            sys.exit(code)

    def _listen(self, *, autoreload: bool, **_rest: Any) -> int:
        settings = state.current().settings
        if settings.is_local:
            raise CommandError(_ONLY_LOCAL, returncode=WRONG)
        if autoreload:
            self._listen_and_reload()
            return OK
        manager = self._described()
        code = manager.run(settings.stop_timeout)
        counts = manager.health().listeners.values()
        self.stdout.write(
            f"{sum(one.handled for one in counts)} handled, {sum(one.failed for one in counts)} attempts failed, "
            f"{sum(one.dead_lettered for one in counts)} in the error queue"
        )
        return code

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
            self._described().start()
        except EventError as error:
            self.stderr.write(f"{error}\nwaiting for a change of the code")
        threading.Event().wait()  # the end of the process stops the manager, and lets running listeners finish

    def _described(self) -> EventManager:
        manager = state.get_manager()
        self.stdout.write(f"{manager.describe()}\n\nlistening; Ctrl-C ends it")
        return manager

    def _describe(self, **_rest: Any) -> int:
        self.stdout.write(str(state.get_manager().describe()))
        return OK

    def _check(self, *, timeout: float, **_rest: Any) -> int:
        manager = state.get_manager()
        events, listeners = manager.registry.events, manager.registry.listeners
        self.stdout.write(f"{len(events)} events and {len(listeners)} listeners at {manager.provider!r}")
        differences = manager.check_topology(timeout)
        for difference in differences:
            self.stdout.write(str(difference))
        if differences:
            self.stdout.write("what is missing is created by the first start, unless declare=false keeps it from that")
        return FOUND if differences else OK


@contextlib.contextmanager
def _errors_shown() -> Iterator[None]:
    try:
        yield
    except EventError as error:
        raise CommandError(
            str(error), returncode=WRONG if isinstance(error, ConfigurationError) else NO_ANSWER
        ) from error
