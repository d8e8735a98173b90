"""RabbitMQ 4: AMQP 1.0 and STOMP, plain and over TLS. `python -m tests.brokers.rabbitmq` runs one by hand.

Debian 12 packages RabbitMQ 3, which cannot be used over AMQP 1.0. So the next Debian is laid into a folder of the
cache, and the broker runs in there, changed root and all: that needs root.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from .base import Broker, BrokerFailed
from .certificates import write_certificates
from .host import HOST, BrokerUnavailable, apt_install, cache_directory, free_ports, install_lock, run

_SUITE = "trixie"
_SERVER = "usr/lib/rabbitmq/bin/rabbitmq-server"

# The port mapper would otherwise be started as a daemon in a session of its own, and stay behind.
_START = """\
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 &
tries=0
until epmd -port "$ERL_EPMD_PORT" -names >/dev/null 2>&1 || [ $tries -ge 500 ]; do tries=$((tries + 1)); done
exec /usr/lib/rabbitmq/bin/rabbitmq-server
"""

# In its changed root it sees no /proc, and would think that the machine has 1 GB: 500 connections take more.
# Without a name of its own the broker asks DNS for its host's at every connection: five seconds where nobody answers.
_SETTINGS = """\
cluster_name = aspyx
default_user = {user}
default_pass = {password}
loopback_users = none
disk_free_limit.absolute = 50MB
vm_memory_calculation_strategy = erlang
total_memory_available_override_value = 8GB
vm_memory_high_watermark.absolute = 4GB
listeners.tcp.1 = {host}:{amqp}
listeners.ssl.1 = {host}:{amqps}
stomp.listeners.tcp.1 = {host}:{stomp}
stomp.listeners.ssl.1 = {host}:{stomps}
management.tcp.ip = {host}
management.tcp.port = {management}
ssl_options.cacertfile = {tls}/ca.pem
ssl_options.certfile = {tls}/server.pem
ssl_options.keyfile = {tls}/server.pem
ssl_options.verify = verify_none
log.console = true
log.console.level = info
log.file = false
"""


# What a delay queue passes on while the next one has no leader, it passes on again only after so many milliseconds.
_ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 5000}]}].\n"


class RabbitMQBroker(Broker):
    """RabbitMQ 4 with `amqp_port`, `amqps_port`, `stomp_port`, `stomps_port`, and HTTP management (`management_port`).

    The virtual host is "/": over AMQP 1.0 `virtual_host="vhost:/"`, over STOMP `host: /`.
    """

    name: ClassVar[str] = "rabbitmq"
    ready: ClassVar[str] = r"Server startup complete"

    def __init__(self) -> None:
        super().__init__()
        ports = free_ports(7)
        self.amqp_port, self.amqps_port, self.stomp_port, self.stomps_port, self.management_port = ports[:5]
        self._distribution_port, self._mapper_port = ports[5:]
        self.certificates = write_certificates(self.directory / "tls")

    @classmethod
    def install(cls) -> None:
        if os.geteuid() != 0:
            raise BrokerUnavailable("it runs in a changed root, which needs root")
        if not (_root() / _SERVER).exists():
            with install_lock(cls.name):
                if not (_root() / _SERVER).exists():
                    _lay_out(_root())

    def folder_parent(self) -> Path | None:
        self.install()
        return _root() / "tmp"

    def prepare(self) -> None:
        self._write(
            "rabbitmq.conf",
            _SETTINGS.format(
                user=self.user,
                password=self.password,
                host=HOST,
                amqp=self.amqp_port,
                amqps=self.amqps_port,
                stomp=self.stomp_port,
                stomps=self.stomps_port,
                management=self.management_port,
                tls=self._inside / "tls",
            ),
        )
        self._write("advanced.config", _ADVANCED)
        self._write("enabled_plugins", "[rabbitmq_stomp,rabbitmq_management].\n")
        self._write("start.sh", _START)
        owner = _root() / "var" / "lib" / "rabbitmq"
        user, group = owner.stat().st_uid, owner.stat().st_gid
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, user, group)

    def start(self) -> RabbitMQBroker:
        """Start it, and set the policy that the library's documentation asks operators for."""
        fresh = not self.running
        super().start()
        if fresh:
            self.set_policy()
        return self

    def set_policy(self) -> None:
        """Set the policy for delayed events, as the documentation says."""
        from aspyx_event.providers.brokers import rabbitmq as rules

        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            f"http://{HOST}:{self.management_port}/api/policies/%2F/{rules.POLICY_NAME}",
            method="PUT",
            data=json.dumps(rules.POLICY).encode(),
            headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def alarm(self, resource: str, on: bool) -> None:
        """Let it think that it has no ``memory`` or ``disk`` left, or that it has; returns once it does."""
        if resource == "memory":
            self.control("set_vm_memory_high_watermark", "absolute", "1MB" if on else "4GB")
        else:  # it measures no disk in a chroot, so nobody but the alarm itself can be told
            call = (
                "set_alarm({{resource_limit, %s, node()}, []})" if on else "clear_alarm({resource_limit, %s, node()})"
            )
            self.control("eval", f"rabbit_alarm:{call % resource}.")
        deadline = time.monotonic() + 60
        while (f"resource_limit,{resource}" in self.control("eval", "rabbit_alarm:get_alarms().")) is not on:
            if time.monotonic() > deadline:
                raise BrokerFailed(f"the {resource} alarm is not {'set' if on else 'cleared'} after 60 s")

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl with these arguments; answers what it prints."""
        tool = "/usr/lib/rabbitmq/bin/rabbitmqctl"
        return run(
            ["chroot", "--userspec=rabbitmq:rabbitmq", str(_root()), tool, *arguments],
            timeout=60,
            env=self.environment(),
        )

    def command(self) -> Sequence[str]:
        script = str(self._inside / "start.sh")
        return ["chroot", "--userspec=rabbitmq:rabbitmq", str(_root()), "/bin/sh", script]

    def environment(self) -> Mapping[str, str]:
        inside = self._inside
        return {
            "HOME": str(inside),  # the Erlang cookie
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": "aspyx@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
            "RABBITMQ_CONFIG_FILE": str(inside / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(inside / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(inside / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(inside / "data"),
            "RABBITMQ_LOG_BASE": str(inside / "log"),
            "RABBITMQ_PID_FILE": str(inside / "pid"),
        }

    def describe(self) -> Mapping[str, object]:
        login, certificate = f"{self.user}:{self.password}", f"?ca_file={self.certificates.ca}"
        return {
            "amqp": f"amqp://{login}@{HOST}:{self.amqp_port}",
            "amqps": f"amqps://{login}@{HOST}:{self.amqps_port}{certificate}",
            "stomp": f"stomp://{login}@{HOST}:{self.stomp_port}",
            "stomps": f"stomps://{login}@{HOST}:{self.stomps_port}{certificate}",
            "management": f"http://{login}@{HOST}:{self.management_port}",
            "data": self.directory,
        }

    @property
    def _inside(self) -> Path:
        """`directory` as the broker sees it."""
        return Path("/tmp") / self.directory.name

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)


def _root() -> Path:
    return cache_directory() / f"rabbitmq-{_SUITE}"


def _lay_out(root: Path) -> None:
    if shutil.which("debootstrap") is None:
        apt_install("debootstrap")
    archive = ["Created-By: Packages", "Origin: Debian", "Label: Debian"]
    mirrors = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", *archive], timeout=60).split()
    if not mirrors:
        raise BrokerUnavailable("apt knows no Debian archive to take it from; it needs Debian")
    scripts = Path("/usr/share/debootstrap/scripts")
    script = str(next((scripts / name for name in (_SUITE, "sid") if (scripts / name).exists()), scripts / _SUITE))
    part = root.with_name(f"{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    run(
        ["debootstrap", "--variant=minbase", "--include=rabbitmq-server", _SUITE, str(part), mirrors[0], script],
        timeout=900,
    )
    part.replace(root)


if __name__ == "__main__":
    from .hand import run_by_hand

    run_by_hand(RabbitMQBroker)
