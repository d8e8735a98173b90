"""``python manage.py demo``: everything with one command."""

import signal
import subprocess
import sys

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from aspyx_event.integrations.django import get_manager


class Command(BaseCommand):
    help = "Make the tables, start a process that listens, and the web server. Ctrl-C ends both."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="host:port, by default %(default)s")

    def handle(self, *args: object, address: str, **options: object) -> None:
        call_command("migrate", verbosity=0)
        listener = None
        if get_manager().provider.capabilities.cross_process:  # with local://, the web server handles events itself
            # In a session of its own, so that Ctrl-C reaches it once, through us.
            command = [sys.executable, sys.argv[0], "events", "listen"]
            listener = subprocess.Popen(command, start_new_session=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self.stdout.write(f"open http://{address}/ in a browser")
        try:
            call_command("runserver", address, use_reloader=False)
        finally:
            if listener is not None:
                listener.terminate()
                listener.wait(40)
