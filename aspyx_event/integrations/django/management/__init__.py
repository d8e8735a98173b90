"""For Django's search for commands."""
