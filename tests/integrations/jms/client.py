"""A Java program on JMS, as a real process: gets its jars, compiles it, and talks to it line by line."""

from __future__ import annotations

import hashlib
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Union
from urllib.parse import quote, unquote_plus

from tests.brokers.host import BrokerUnavailable, cache_directory, install_lock, run

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

Property = Union[str, int, bool]

_POM = Path(__file__).with_name("pom.xml")
_SOURCE = Path(__file__).with_name("JmsClient.java")
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
_TYPES = {str: "String", int: "Integer", bool: "Boolean"}
_ANSWER_TIMEOUT = 30.0


@dataclass(frozen=True)
class Received:
    """What a JMS consumer saw. ``properties`` are (Java type, value) by name."""

    kind: str
    text: str
    id: str
    properties: Mapping[str, tuple[str, str]]


class JmsClient:
    """The running program, connected to Artemis over AMQP 1.0. Not thread-safe; use it in a ``with``.

    classes: the folder of the compiled program, also for what it writes to its error output.
    """

    name: ClassVar[str] = "jms"

    def __init__(self, broker: ArtemisBroker, classes: Path) -> None:
        self._errors = classes / "errors.txt"
        login = {"JMS_USER": broker.user, "JMS_PASSWORD": broker.password}
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{_jars()}/*", _SOURCE.stem],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="ascii",
                env={**os.environ, **login, "JMS_URL": f"amqp://{broker.host}:{broker.amqp_port}"},
            )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="jms-answers", daemon=True)
        self._reader.start()

    @classmethod
    def install(cls) -> None:
        """Make sure that the client and a compiler are in the cache. Cheap when they are there already."""
        if shutil.which("java") is None:
            raise BrokerUnavailable("a JMS client needs Java 17 or newer; no java was found")
        if not _jars().exists():
            with install_lock(cls.name):
                if not _jars().exists():
                    _download(_jars())

    @classmethod
    def compile(cls, classes: Path) -> None:
        """Compile the program into this folder."""
        command = ["java", "-cp", f"{_jars()}/*", _COMPILER, "-17", "-proc:none", "-cp"]
        run([*command, ":".join(map(str, _jars().glob("*.jar"))), "-d", str(classes), str(_SOURCE)], timeout=60)

    def send_text(self, topic: str, body: str, **properties: Property) -> str:
        """Send a TextMessage; return the JMSMessageID."""
        return self._send("text", topic, body, properties)

    def send_bytes(self, topic: str, body: str, **properties: Property) -> str:
        """Send a BytesMessage; return the JMSMessageID."""
        return self._send("bytes", topic, body, properties)

    def subscribe(self, topic: str) -> None:
        """Read from this topic from now on, and from no other."""
        assert self._ask("subscribe", topic) == ["ok"]

    def receive(self, timeout: float = 15.0) -> Received:
        """Return the next message."""
        answer = self._ask("receive", str(round(timeout * 1000)))
        assert answer != ["nothing"], f"no message arrived within {timeout} s"
        kind, text, identifier, *rest = answer
        return Received(kind, text, identifier, dict(zip(rest[::3], zip(rest[1::3], rest[2::3]))))

    def close(self) -> None:
        """End its input, which ends it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> JmsClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, kind: str, topic: str, body: str, properties: Mapping[str, Property]) -> str:
        fields = [part for name, value in properties.items() for part in (name, _TYPES[type(value)], _text(value))]
        [identifier] = self._ask(kind, topic, body, *fields)
        return identifier

    def _ask(self, *fields: str) -> list[str]:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(quote(field, safe="") for field in fields) + "\n")
        self._process.stdin.flush()
        answer = self._answers.get(timeout=_ANSWER_TIMEOUT)
        assert answer, f"the JMS client ended: {self._errors.read_text()[-2000:]}"
        return [unquote_plus(field) for field in answer.rstrip("\n").split(" ")]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")


def _text(value: Property) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _jars() -> Path:
    digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]
    return cache_directory() / f"jms-client-{digest}"


def _download(jars: Path) -> None:
    repository = cache_directory() / "maven"
    unfinished = jars.with_name(f"{jars.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    run(
        ["mvn", "-B", "-q", f"-Dmaven.repo.local={repository}", "-f", str(_POM), "dependency:copy-dependencies",
         f"-DoutputDirectory={unfinished}"],
        timeout=300,
    )  # fmt: skip
    unfinished.replace(jars)
