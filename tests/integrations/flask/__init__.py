"""Tests of the Flask extension, on the real framework."""
