"""Messages that no good program writes, and plain clients that send them."""
