"""The certificate of the door: our own, made and renewed here, or one that the administrator gives.

Our own is signed by an authority of this installation, which clients pin: `AWS_CA_BUNDLE` names its certificate, and a
renewed certificate of the door changes nothing for them. Whatever certificate it is, it is tried before anything
starts, by a handshake as clients make it.
"""

import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outcrop.errors import MachineTrouble

AUTHORITY, AUTHORITY_KEY = "tls-authority.pem", "tls-authority.key"
CERTIFICATE, CERTIFICATE_KEY = "tls.pem", "tls.key"
_AUTHORITY_LASTS = timedelta(days=3650)
_LASTS = timedelta(days=397)
"The most that browsers take."
_RENEWED_BEFORE = timedelta(days=60)
_BACK = timedelta(days=1)
"Clocks of clients may be behind."
_PEM = serialization.Encoding.PEM


class DoorCertificate(NamedTuple):
    """The files with which the door answers, and what clients trust."""

    certificate: Path
    key: Path
    trusted: Path | None
    "The file for AWS_CA_BUNDLE; None: clients trust it anyway."


def own(folder: Path, host: str, *, now: datetime) -> DoorCertificate:
    """Our own certificate for a door at `host`, made or renewed where that is due. Raises MachineTrouble."""
    names = _names(host)
    files = DoorCertificate(folder / CERTIFICATE, folder / CERTIFICATE_KEY, folder / AUTHORITY)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _lasts(folder / AUTHORITY, folder / AUTHORITY_KEY, now=now):
            _make_authority(folder, now=now)
        elif _lasts(files.certificate, files.key, now=now) and _covers(files.certificate, names, folder / AUTHORITY):
            return files
        _make_certificate(folder, names, now=now)
    except OSError as error:
        raise MachineTrouble(f"{folder}: the door's certificate cannot be kept there ({error.strerror}).") from error
    return files


def given(certificate: Path, key: Path, authority: Path | None, host: str) -> DoorCertificate:
    """The administrator's certificate, tried as clients will who are pointed at `host`.

    Raises MachineTrouble for files that are none, that do not belong together, or that no client would trust.
    """
    for path in (certificate, key, *([authority] if authority is not None else [])):
        if not os.access(path, os.R_OK):
            raise MachineTrouble(f"{path}: cannot be read. Give PEM files that this user may read.")
    _check_key(key)
    if authority is None and _refusal(certificate, key, None, host) is None:
        return DoorCertificate(certificate, key, None)
    trusted = authority or certificate
    refusal = _refusal(certificate, key, trusted, host)
    if refusal is not None:
        raise MachineTrouble(f"{certificate}: {refusal}")
    return DoorCertificate(certificate, key, trusted)


def fingerprint(path: Path) -> str:
    """The SHA-256 of the first certificate of a file, as browsers show it."""
    digest = _read(path).fingerprint(hashes.SHA256()).hex().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def is_due(folder: Path, *, now: datetime) -> bool:
    """Whether our own certificate is to be renewed."""
    return not _lasts(folder / CERTIFICATE, folder / CERTIFICATE_KEY, now=now)


def _names(host: str) -> list[str]:
    """The names and addresses under which a door at `host` is found."""
    own_name = socket.gethostname()
    names = ["localhost", "127.0.0.1", "::1"]
    if host in ("0.0.0.0", "::"):
        names += [own_name, *_addresses(own_name)]
    elif host:
        names.append(host.partition("%")[0])
    return [*dict.fromkeys(names)]


def _addresses(name: str) -> Iterable[str]:
    try:
        return sorted({str(each[4][0]).partition("%")[0] for each in socket.getaddrinfo(name, None)})
    except OSError:
        return []


def _lasts(path: Path, key: Path, *, now: datetime) -> bool:
    """Whether a certificate and its key are there, belong together, and are good for a while.

    Whoever wrote them may have been killed between the two.
    """
    if not path.is_file() or not key.is_file():
        return False
    try:
        certificate = _read(path)
        ours = serialization.load_pem_private_key(key.read_bytes(), None).public_key()
    except (ValueError, TypeError):
        return False
    return certificate.public_key() == ours and certificate.not_valid_after_utc - _RENEWED_BEFORE > now


def _covers(path: Path, names: Sequence[str], authority: Path) -> bool:
    """Whether a certificate is of this authority, and has all of these names."""
    certificate = _read(path)
    told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    has = {*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))}
    return certificate.issuer == _read(authority).subject and has >= set(names)


def _read(path: Path) -> x509.Certificate:
    """The first certificate of a file. Raises ValueError."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def _make_authority(folder: Path, *, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"Outcrop of {socket.gethostname()[:30]} {serial % 10**6}")]
    )
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - _BACK)
        .not_valid_after(now + _AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / AUTHORITY_KEY, _key_bytes(key))
    _write(folder / AUTHORITY, made.public_bytes(_PEM))


def _make_certificate(folder: Path, names: Sequence[str], *, now: datetime) -> None:
    authority = _read(folder / AUTHORITY)
    signing = serialization.load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey), "the authority's key is one of ours"
    key = ec.generate_private_key(ec.SECP256R1())
    told = x509.SubjectAlternativeName([_general(name) for name in names])
    key_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Outcrop")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(min(now + _LASTS, authority.not_valid_after_utc))
        .add_extension(told, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
        .sign(signing, hashes.SHA256())
    )
    _write(folder / CERTIFICATE_KEY, _key_bytes(key))
    _write(folder / CERTIFICATE, made.public_bytes(_PEM) + authority.public_bytes(_PEM))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """Write a file that only we can read, whole or not at all."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _check_key(key: Path) -> None:
    """Raises MachineTrouble for a key in a form that the server does not read."""
    content = key.read_bytes()
    if b"-----BEGIN PRIVATE KEY-----" not in content:
        raise MachineTrouble(
            f"{key}: expected a PEM file with BEGIN PRIVATE KEY (PKCS #8, not encrypted). "
            f"`openssl pkcs8 -topk8 -nodes -in {key.name} -out key.pem` makes one."
        )


def _refusal(certificate: Path, key: Path, trusted: Path | None, host: str) -> str | None:
    """Why a client that is pointed at `host` would not take this certificate; None where it would."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        return f"it and the key {key} do not belong together, or are none ({error.reason}). Give a pair of PEM files."
    client = ssl.create_default_context()
    if trusted is not None:
        try:
            client.load_verify_locations(trusted)
        except ssl.SSLError as error:
            return f"{trusted} holds no certificates of authorities ({error.reason}). Give a PEM file with --tls-ca."
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=host)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        _shake_hands(asking, answering)
    except ssl.SSLCertVerificationError as error:
        return (
            f"clients that are pointed at {host} would not trust it: {error.verify_message}. Give the whole chain, its "
            "authority with --tls-ca, or with --host a name that it is for."
        )
    return None


def _shake_hands(asking: ssl.SSLObject, answering: ssl.SSLObject) -> None:
    for _ in range(8):
        waits = False
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waits = True
        if not waits:
            return
