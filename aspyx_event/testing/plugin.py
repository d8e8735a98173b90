"""The fixtures that pytest finds where this distribution is installed."""
