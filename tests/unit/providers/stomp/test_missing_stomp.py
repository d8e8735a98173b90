"""The package without stomp.py."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
sys.modules["stomp"] = None
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.stomp import StompProvider
try:
    StompProvider()
except ConfigurationError as error:
    sys.exit(0 if "pip install aspyx-event[stomp]" in str(error) else str(error))
sys.exit("no error")
"""


def test_a_missing_stomp_says_what_to_install() -> None:
    """Without stomp.py the module can be imported, and the provider is a ConfigurationError that names the extra."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
