"""Apache Artemis: AMQP 1.0 and STOMP, plain and over TLS. `python -m tests.brokers.artemis` runs one by hand."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from . import artemis_settings as settings
from .base import Broker
from .certificates import write_certificates
from .host import HOST, BrokerUnavailable, cache_directory, free_ports, install_lock, run

VERSION = "2.40.0"
_ARTIFACT = f"org.apache.activemq:apache-artemis:{VERSION}:zip:bin"
_ZIP = f"org/apache/activemq/apache-artemis/{VERSION}/apache-artemis-{VERSION}-bin.zip"


class ArtemisBroker(Broker):
    """Artemis as `artemis create` configures it, plus users who may not manage, or not create, and two TLS acceptors.

    `amqp_port` speaks every protocol, STOMP too; `stomp_port` speaks STOMP only; `amqps_port` and `stomps_port` want
    TLS; `mutual_port` wants TLS with the client certificate and authenticates by it (SASL EXTERNAL).
    """

    name: ClassVar[str] = "artemis"
    ready: ClassVar[str] = "AMQ221007"

    worker_user = "worker"
    worker_password = "worker-s3cret"
    guest_user = "guest"
    guest_password = "guest-s3cret"

    def __init__(self) -> None:
        super().__init__()
        self.amqp_port, self.stomp_port, self.amqps_port, self.stomps_port, self.mutual_port = free_ports(5)
        self.certificates = write_certificates(self.directory / "tls")

    @classmethod
    def install(cls) -> None:
        home = _home()
        if (home / "bin" / "artemis").exists():
            return
        with install_lock(cls.name):
            if not (home / "bin" / "artemis").exists():
                _download(home)

    def prepare(self) -> None:
        instance = self._instance
        tool = str(_home() / "bin" / "artemis")
        options = "--silent --require-login --no-web --no-autotune --nio --no-mqtt-acceptor --no-hornetq-acceptor"
        owner = ["--host", HOST, "--user", self.user, "--password", self.password, "--java-memory", "512M"]
        run([tool, "create", str(instance), *options.split(), *owner], timeout=60)
        etc = instance / "etc"
        settings.set_ports(etc / "broker.xml", {61616: self.amqp_port, 61613: self.stomp_port})
        settings.add_tls_acceptors(
            etc / "broker.xml",
            self.certificates,
            {"amqps": ("AMQP", self.amqps_port), "stomps": ("STOMP", self.stomps_port)},
            mutual_port=self.mutual_port,
        )
        settings.add_worker(etc, self.worker_user, self.worker_password)
        settings.add_guest(etc, self.guest_user, self.guest_password)
        settings.trust_client_certificates(etc, self.user)

    def command(self) -> Sequence[str]:
        return [str(self._instance / "bin" / "artemis"), "run"]

    def environment(self) -> Mapping[str, str]:
        # The heap of the created profile is reserved at once (-Xms512M); several brokers share the machine.
        return {"JAVA_ARGS_APPEND": "-Xms128M"}

    def describe(self) -> Mapping[str, object]:
        return {
            "amqp": f"amqp://{self.user}:{self.password}@{HOST}:{self.amqp_port}",
            "amqps": f"amqps://{self.user}:{self.password}@{HOST}:{self.amqps_port}?ca_file={self.certificates.ca}",
            "stomp": f"stomp://{self.user}:{self.password}@{HOST}:{self.stomp_port}",
            "stomps": f"stomps://{self.user}:{self.password}@{HOST}:{self.stomps_port}?ca_file={self.certificates.ca}",
            "mutual TLS": f"amqps://{HOST}:{self.mutual_port}",
            "client certificate": self.certificates.client_cert,
            "client key": self.certificates.client_key,
            "may not manage": f"{self.worker_user}:{self.worker_password}",
            "may not create": f"{self.guest_user}:{self.guest_password}",
            "instance": self._instance,
        }

    @property
    def _instance(self) -> Path:
        return self.directory / "instance"


def _home() -> Path:
    return cache_directory() / f"apache-artemis-{VERSION}"


def _download(home: Path) -> None:
    if shutil.which("java") is None:
        raise BrokerUnavailable("Artemis needs Java 17 or newer; no java was found")
    # A repository of our own: Maven takes its default from the password file, whatever HOME says.
    repository = cache_directory() / "maven"
    run(
        ["mvn", "-B", "-q", f"-Dmaven.repo.local={repository}", "dependency:get", "-Dtransitive=false",
         f"-Dartifact={_ARTIFACT}"],
        timeout=300,
    )  # fmt: skip
    unpacked = home.with_name(f"{home.name}.part")
    shutil.rmtree(unpacked, ignore_errors=True)
    with zipfile.ZipFile(repository / _ZIP) as archive:
        archive.extractall(unpacked)
    os.chmod(unpacked / home.name / "bin" / "artemis", 0o755)
    (unpacked / home.name).replace(home)
    shutil.rmtree(unpacked)


if __name__ == "__main__":
    from .hand import run_by_hand

    run_by_hand(ArtemisBroker)
