"""Does the cost grow? With event types and listeners, with what waits in the queue, with time, with processes."""
