"""``python -m aspyx_event``."""

from __future__ import annotations

import sys

from aspyx_event.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
