"""Importing this is a mistake."""

raise AssertionError("__main__ was imported")
