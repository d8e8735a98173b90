"""The checks one by one, for those who like nox; `sh tests/run` does them all and needs nothing installed."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "typing", "tests"]
nox.options.reuse_existing_virtualenvs = True

ALL = "-e.[amqp,cli,stomp,test]"


@nox.session
def lint(session: nox.Session) -> None:
    """Style and the direction of imports."""
    session.install(ALL, "-r", "tests/requirements.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--config", "setup.cfg")


@nox.session
def typing(session: nox.Session) -> None:
    """Both type checkers."""
    session.install(ALL, "-r", "tests/requirements.txt")
    session.run("mypy")
    session.run("pyright", "--pythonversion", "3.9", "aspyx_event")


@nox.session(python=["3.9", "3.11", "3.13"])
def tests(session: nox.Session) -> None:
    """The tests; without arguments all of them, brokers included."""
    session.install(ALL, "-r", "tests/requirements-unit.txt", "trustme", "cryptography")
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, every warning an error."""
    session.install(ALL, "-r", "tests/requirements.txt")
    session.run("sphinx-build", "-W", "-n", "docs", session.create_tmp())
