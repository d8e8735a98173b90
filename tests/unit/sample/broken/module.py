"""Fails on import."""

raise ZeroDivisionError("no luck")
