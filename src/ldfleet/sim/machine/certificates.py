"""The certificates of WinRM's HTTPS: the listeners' own, and one with which a client shows who it is, mapped to an account by its UPN."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Where Windows looks in a certificate for the account: the user principal name among its other names.
_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_UTF8_STRING = 0x0C


def listener(folder: Path, address: str) -> tuple[Path, Path]:
    """The self-signed certificate of all listeners, made when it is not there, and its key, as PEM."""
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(address))]
    return _made(folder, "winrm", "ldfleet simulated host", x509.SubjectAlternativeName(names), ExtendedKeyUsageOID.SERVER_AUTH)


def client(folder: Path, user: str) -> tuple[Path, Path]:
    """A self-signed certificate for an account, made when it is not there, and its key, as PEM."""
    principal = f"{user}@localhost".encode()
    names = x509.SubjectAlternativeName([x509.OtherName(_UPN, bytes([_UTF8_STRING, len(principal)]) + principal)])
    return _made(folder, "client", user, names, ExtendedKeyUsageOID.CLIENT_AUTH)


def machine(subject: str, names: Sequence[str], since: float, until: float) -> tuple[str, bytes]:
    """A certificate as New-SelfSignedCertificate makes it, whose key is not kept: its thumbprint and itself (DER). Times in Unix seconds."""
    secret = ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    made = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.fromtimestamp(since, datetime.UTC))
        .not_valid_after(datetime.datetime.fromtimestamp(until, datetime.UTC))
        .add_extension(x509.SubjectAlternativeName([_named(name) for name in names]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    return made.fingerprint(hashes.SHA1()).hex().upper(), made.public_bytes(serialization.Encoding.DER)  # noqa: S303 - what a thumbprint is


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def context(own: tuple[Path, Path], trusted: Path | None) -> ssl.SSLContext:
    """TLS for listeners. A client may show the trusted certificate; with another one it gets no connection."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*own)
    if trusted is not None:
        made.verify_mode = ssl.CERT_OPTIONAL
        made.load_verify_locations(trusted)
    return made


def account(shown: bytes | None) -> str | None:
    """The account that a client's certificate (DER) names, if any."""
    if not shown:
        return None
    try:
        names = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    principals = [name.value[2:] for name in names.get_values_for_type(x509.OtherName) if name.type_id == _UPN]
    return principals[0].decode().rpartition("@")[0] if principals else None


def _made(folder: Path, name: str, subject: str, names: x509.SubjectAlternativeName, use: x509.ObjectIdentifier) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    if key.exists():
        return certificate, key
    secret = ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.touch(mode=0o600)
    key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return certificate, key
