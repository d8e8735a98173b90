"""Throw-away certificates for the TLS tests: one authority that is right, one that is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CLIENT_NAME = "aspyx-test-client"


@dataclass(frozen=True)
class Certificates:
    """PEM files. `server` and `client` hold key and chain in one file, the key as PKCS #8, as Java reads it."""

    ca: Path
    wrong_ca: Path
    server: Path
    client_cert: Path
    client_key: Path


def write_certificates(directory: Path) -> Certificates:
    """Issue a server certificate for localhost and 127.0.0.1, and one for a client, below a new authority."""
    import trustme  # a developer tool: unit tests run without it

    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    files = Certificates(
        ca=directory / "ca.pem",
        wrong_ca=directory / "wrong-ca.pem",
        server=directory / "server.pem",
        client_cert=directory / "client-cert.pem",
        client_key=directory / "client-key.pem",
    )
    authority.cert_pem.write_to_path(str(files.ca))
    trustme.CA().cert_pem.write_to_path(str(files.wrong_ca))
    server = authority.issue_cert("localhost", "127.0.0.1")
    chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
    files.server.write_bytes(_pkcs8(server.private_key_pem.bytes()) + chain)
    client = authority.issue_cert(f"{CLIENT_NAME}@example.test", common_name=CLIENT_NAME)
    files.client_key.write_bytes(client.private_key_pem.bytes())
    files.client_cert.write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
    return files


def _pkcs8(key: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
