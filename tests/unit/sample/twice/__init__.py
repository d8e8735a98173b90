"""Two events of one name."""
