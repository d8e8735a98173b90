"""ActiveMQ Classic as Debian packages it: STOMP, no AMQP. `python -m tests.brokers.activemq` runs one by hand."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from .base import Broker
from .host import HOST, BrokerUnavailable, apt_install, free_ports

_HOME = Path("/usr/share/activemq")

_BROKER = """\
<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd
 http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="aspyx" useJmx="false" schedulerSupport="true"
          dataDirectory="{base}/data">
    <persistenceAdapter><kahaDB directory="{base}/data/kahadb"/></persistenceAdapter>
    <plugins>
      <simpleAuthenticationPlugin anonymousAccessAllowed="false">
        <users><authenticationUser username="{user}" password="{password}" groups="admins"/></users>
      </simpleAuthenticationPlugin>
    </plugins>
    <systemUsage><systemUsage>
      <storeUsage><storeUsage limit="1 gb"/></storeUsage>
      <tempUsage><tempUsage limit="1 gb"/></tempUsage>
      <jobSchedulerUsage><jobSchedulerUsage limit="1 gb"/></jobSchedulerUsage>
    </systemUsage></systemUsage>
    <transportConnectors><transportConnector name="stomp" uri="stomp://{host}:{port}"/></transportConnectors>
  </broker>
</beans>
"""

_LOGGING = """\
log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %-5p %m%n
"""


class ActiveMQBroker(Broker):
    """ActiveMQ Classic with `stomp_port` and delayed messages."""

    name: ClassVar[str] = "activemq"
    ready: ClassVar[str] = r"Apache ActiveMQ .* started"

    def __init__(self) -> None:
        super().__init__()
        (self.stomp_port,) = free_ports(1)

    @classmethod
    def install(cls) -> None:
        if not (_HOME / "bin" / "activemq.jar").exists():
            apt_install("activemq")
        if shutil.which("java") is None:
            raise BrokerUnavailable("ActiveMQ needs Java; no java was found")

    def prepare(self) -> None:
        for folder in ("conf", "data"):
            (self.directory / folder).mkdir()
        (self.directory / "conf" / "log4j.properties").write_text(_LOGGING)
        settings = _BROKER.format(
            base=self.directory, host=HOST, port=self.stomp_port, user=self.user, password=self.password
        )
        (self.directory / "conf" / "activemq.xml").write_text(settings)

    def command(self) -> Sequence[str]:
        base = self.directory
        return [
            "java",
            "-Xmx256m",
            f"-Dactivemq.home={_HOME}",
            f"-Dactivemq.base={base}",
            f"-Dactivemq.conf={base}/conf",
            f"-Dactivemq.data={base}/data",
            f"-Dlog4j.configuration=file:{base}/conf/log4j.properties",
            "-jar",
            str(_HOME / "bin" / "activemq.jar"),
            "start",
            f"xbean:file:{base}/conf/activemq.xml",
        ]

    def describe(self) -> Mapping[str, object]:
        return {"stomp": f"stomp://{self.user}:{self.password}@{HOST}:{self.stomp_port}", "data": self.directory}


if __name__ == "__main__":
    from .hand import run_by_hand

    run_by_hand(ActiveMQBroker)
