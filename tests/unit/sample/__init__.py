"""Packages for the scan tests."""
