"""Edits to what `artemis create` wrote. The address settings stay as created: they are what users have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .certificates import CLIENT_NAME, Certificates
from .host import HOST

_ROLE, _GUESTS = "workers", "guests"
_OF_GUESTS = ("send", "consume", "browse")
_KEPT_FOR_ADMINISTRATORS = ("manage", "deleteDurableQueue", "deleteAddress")


def set_ports(broker_xml: Path, ports: Mapping[int, int]) -> None:
    """Move the acceptors to other ports; the AMQP acceptor is dropped, the one for all protocols serves AMQP."""
    text = broker_xml.read_text()
    start, end = text.index('<acceptor name="amqp">'), text.index('<acceptor name="stomp">')
    text = text[:start] + text[end:]
    for standard, port in ports.items():
        text = _replace(text, f"tcp://{HOST}:{standard}?", f"tcp://{HOST}:{port}?")
    broker_xml.write_text(text)


def add_tls_acceptors(
    broker_xml: Path, tls: Certificates, acceptors: Mapping[str, tuple[str, int]], *, mutual_port: int
) -> None:
    """Add acceptors (name -> protocol and port) with the server's certificate, and one that wants the client's."""
    server = f"sslEnabled=true;keyStoreType=PEM;keyStorePath={tls.server}"
    client = f"needClientAuth=true;trustStoreType=PEMCA;trustStorePath={tls.ca};saslMechanisms=EXTERNAL"
    lines = [_acceptor(name, port, f"protocols={protocol};{server}") for name, (protocol, port) in acceptors.items()]
    lines.append(_acceptor("mutual", mutual_port, f"protocols=AMQP;{server};{client}"))
    broker_xml.write_text(_replace(broker_xml.read_text(), "</acceptors>", "\n".join([*lines, "</acceptors>"])))


def add_worker(etc: Path, user: str, password: str) -> None:
    """Add a user who may do everything that messaging needs, and may neither manage nor delete what is durable."""
    _append(etc / "artemis-users.properties", f"{user} = {password}")
    _append(etc / "artemis-roles.properties", f"{_ROLE} = {user}")
    lines = (etc / "broker.xml").read_text().splitlines()
    for number, line in enumerate(lines):
        kept = any(f'type="{permission}"' in line for permission in _KEPT_FOR_ADMINISTRATORS)
        if "<permission " in line and not kept:
            lines[number] = _replace(line, 'roles="amq"', f'roles="amq,{_ROLE}"')
    (etc / "broker.xml").write_text("\n".join(lines))


def add_guest(etc: Path, user: str, password: str) -> None:
    """Add a user who may send, consume and browse, and neither create nor delete nor manage anything."""
    _append(etc / "artemis-users.properties", f"{user} = {password}")
    _append(etc / "artemis-roles.properties", f"{_GUESTS} = {user}")
    lines = (etc / "broker.xml").read_text().splitlines()
    for number, line in enumerate(lines):
        if "<permission " in line and any(
            f'type="{permission}"' in line for permission in ("send", "consume", "browse")
        ):
            lines[number] = _replace(line, 'roles="amq', f'roles="{_GUESTS},amq')
    (etc / "broker.xml").write_text("\n".join(lines))


def trust_client_certificates(etc: Path, user: str) -> None:
    """Let the test client's certificate log in as `user` where a connection brings one."""
    bootstrap = etc / "bootstrap.xml"
    domain = '<jaas-security domain="activemq"'
    bootstrap.write_text(_replace(bootstrap.read_text(), domain, f'{domain} certificate-domain="certificates"'))
    (etc / "certificate-users.properties").write_text(f"{user} = /.*CN={CLIENT_NAME}.*/\n")
    (etc / "certificate-roles.properties").write_text(f"amq = {user}\n")
    package = "org.apache.activemq.artemis.spi.core.security.jaas"
    _append(
        etc / "login.config",
        f"""certificates {{
   {package}.TextFileCertificateLoginModule required
       org.apache.activemq.jaas.textfiledn.user="certificate-users.properties"
       org.apache.activemq.jaas.textfiledn.role="certificate-roles.properties";
}};""",
    )


def _acceptor(name: str, port: int, options: str) -> str:
    return f'<acceptor name="{name}">tcp://{HOST}:{port}?{options}</acceptor>'


def _append(file: Path, line: str) -> None:
    file.write_text(f"{file.read_text()}\n{line}\n")


def _replace(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"{old!r} is not in what `artemis create` wrote")
    return text.replace(old, new)
