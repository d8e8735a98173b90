"""What the commands do, apart from how they are typed: functions of a manager and a screen that answer an exit code.

``aspyx-event``, ``flask events`` and ``manage.py events`` are three ways to call them. They raise EventError, for which
``aspyx_event.cli.codes.code_of`` has the exit code.
"""
