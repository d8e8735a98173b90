"""The package without proton."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys
sys.modules["proton"] = sys.modules["cproton"] = None
from aspyx_event.exceptions import ConfigurationError
try:
    import aspyx_event.providers.amqp
except ConfigurationError as error:
    sys.exit(0 if "pip install aspyx-event[amqp]" in str(error) else str(error))
sys.exit("no error")
"""


@pytest.mark.parametrize("times", [1])
def test_a_missing_proton_says_what_to_install(times: int) -> None:
    """Without python-qpid-proton the provider is a ConfigurationError that names the extra."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
