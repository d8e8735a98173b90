"""A program that works through an outage, with a log that is counted."""
