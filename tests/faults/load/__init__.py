"""Runs under load and over and over again: short in the tests, long by ``python -m tests.faults.load``."""
