"""``python manage.py demo``: everything with one command."""

import contextlib
import signal
import subprocess
import sys

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from aspyx_event.integrations.django import get_manager


class Command(BaseCommand):
    help = "Make the tables, start a web server, and a process that listens. Ctrl-C ends both."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="host:port, by default %(default)s")

    def handle(self, *args: object, address: str, **options: object) -> None:
        call_command("migrate", verbosity=0)
        commands = [["runserver", "--noreload", address]]
        if get_manager().provider.capabilities.cross_process:  # with local://, the web server handles events itself
            commands.append(["events", "listen"])
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self.stdout.write(f"open http://{address}/ in a browser")
        # In sessions of their own: Ctrl-C ends them through us, and in good order.
        started = [
            subprocess.Popen([sys.executable, sys.argv[0], *command], start_new_session=True) for command in commands
        ]
        code = 0
        try:
            with contextlib.suppress(KeyboardInterrupt):
                code = started[0].wait()
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(40)
        sys.exit(code)
