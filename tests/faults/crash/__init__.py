"""Processes that die where the crash table says, and what they have in common with those that come after them."""
