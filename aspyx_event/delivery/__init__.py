"""From a delivery to its settlement: workers, retries, dead letters; and from an event to its confirmation."""
