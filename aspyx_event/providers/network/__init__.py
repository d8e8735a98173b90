"""What every provider with a connection needs, whatever it speaks: options, sockets, TLS, futures."""
