"""The key that digest files are signed with: RSA of 2,048 bits, its private half sealed by the root key.

It is made with the first digest. Keys that were used stay, so that what they signed can be verified.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sql
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from outcrop.clock import Clock
from outcrop.errors import MachineTrouble
from outcrop.keys.root_key import Sealer
from outcrop.store.database import UtcTime, alone, create_tables, reading, writing
from outcrop.store.store import Store

ALGORITHM = "SHA256withRSA"
_BITS = 2048
_VALID = timedelta(days=10 * 365)
_schema = sql.MetaData()
_table = sql.Table(
    "trail_keys",
    _schema,
    sql.Column("fingerprint", sql.String, primary_key=True),
    sql.Column("public", sql.LargeBinary, nullable=False),
    sql.Column("sealed", sql.LargeBinary, nullable=False),
    sql.Column("made", UtcTime, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """The public half of a key: PKCS #1 in DER, as CloudTrail gives it out."""

    fingerprint: str
    der: bytes
    since: datetime

    @property
    def until(self) -> datetime:
        return self.since + _VALID


class SigningKeys:
    """The keys of an installation."""

    def __init__(self, store: Store, clock: Clock, sealer: Sealer) -> None:
        self._store = store
        self._clock = clock
        self._sealer = sealer
        create_tables(store.engine, _schema)

    def all(self) -> list[PublicKey]:
        """Every key, the newest first."""
        query = sql.select(_table.c.fingerprint, _table.c.public, _table.c.made).order_by(_table.c.made.desc())
        with reading(self._store.engine) as connection:
            return [
                PublicKey(fingerprint=row.fingerprint, der=row.public, since=row.made)
                for row in connection.execute(query)
            ]

    def current(self) -> PublicKey:
        """The key that is signed with now; made where there is none."""
        found = self.all()
        return found[0] if found else self._make()

    def sign(self, key: PublicKey, text: bytes) -> str:
        """A signature in hexadecimal digits; the same text has the same one. Raises MachineTrouble."""
        query = sql.select(_table.c.sealed).where(_table.c.fingerprint == key.fingerprint)
        with reading(self._store.engine) as connection:
            sealed = connection.execute(query).scalar_one()
        private = serialization.load_der_private_key(self._opened(key.fingerprint, sealed), None)
        assert isinstance(private, rsa.RSAPrivateKey), "it was made as one"
        return private.sign(text, padding.PKCS1v15(), hashes.SHA256()).hex()

    def reseal(self, new: Sealer) -> int:
        """Seal every key with another root key; returns how many. The caller has a transaction open."""
        with writing(self._store.engine) as connection:
            rows = connection.execute(sql.select(_table.c.fingerprint, _table.c.sealed)).all()
            for row in rows:
                sealed = new.seal_bytes(self._opened(row.fingerprint, row.sealed), about=_about(row.fingerprint))
                change = sql.update(_table).where(_table.c.fingerprint == row.fingerprint).values(sealed=sealed)
                connection.execute(change)
        return len(rows)

    def _make(self) -> PublicKey:
        private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
        public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        secret = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        fingerprint = hashlib.md5(public, usedforsecurity=False).hexdigest()  # a name, as CloudTrail's are
        with writing(self._store.engine) as connection:
            alone(connection, "trail keys")
            if not self.all():  # else another process has made one meanwhile
                sealed = self._sealer.seal_bytes(secret, about=_about(fingerprint))
                values = {"fingerprint": fingerprint, "public": public, "sealed": sealed, "made": self._clock.now()}
                connection.execute(sql.insert(_table).values(values))
        return self.all()[0]

    def _opened(self, fingerprint: str, sealed: bytes) -> bytes:
        opened = self._sealer.open_bytes(sealed, about=_about(fingerprint))
        if opened is None:
            raise MachineTrouble(
                f"The key {fingerprint} that signs digests of trails cannot be opened: it was sealed with another root "
                "key. Give the root key of this home."
            )
        return opened


def verifies(der: bytes, text: bytes, signature: str) -> bool:
    """Whether a signature is this key's over this text."""
    from cryptography.exceptions import InvalidSignature

    public = serialization.load_der_public_key(der)
    assert isinstance(public, rsa.RSAPublicKey), "keys of trails are of RSA"
    try:
        public.verify(bytes.fromhex(signature), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _about(fingerprint: str) -> str:
    return f"key of trails {fingerprint}"
