"""What two protocols must agree on to share the queues of one broker. No protocol, no socket: pure functions."""
