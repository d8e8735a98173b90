"""Tests of what all integrations share."""
