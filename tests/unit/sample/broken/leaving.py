"""A script without a guard: it ends the process on import."""

raise SystemExit(3)
