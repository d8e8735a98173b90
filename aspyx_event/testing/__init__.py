"""For tests: a TCP proxy that breaks connections, a provider that kills its process, and the suite every provider has
to pass.

``aspyx_event.testing.proxy.TcpProxy`` and ``aspyx_event.testing.crash.CrashingProvider`` need nothing but Python;
``aspyx_event.testing.conformance.ProviderConformance``
needs pytest (``pip install aspyx-event[test]``).
"""
