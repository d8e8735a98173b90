"""For tests: a TCP proxy that breaks connections, and the suite every provider has to pass.

``aspyx_event.testing.proxy.TcpProxy`` needs nothing but Python; ``aspyx_event.testing.conformance.ProviderConformance``
needs pytest (``pip install aspyx-event[test]``).
"""
