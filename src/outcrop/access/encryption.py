"""The service key, and secrets sealed with it: what the database holds is worthless without `keys/service.key`.

AES-256-GCM; every sealed secret is bound to the id it belongs to, so rows cannot be exchanged for one another.
"""

import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from outcrop.errors import MachineTrouble

KEY_BYTES = 32
_NONCE_BYTES = 12
_FILE = "service.key"


class Sealer:
    """Seals and opens texts with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, *, about: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), about.encode())

    def open(self, sealed: bytes, *, about: str) -> str | None:
        """The text, or None when it was sealed with another key or about something else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode()).decode()
        except InvalidTag:
            return None


def key_file(keys: Path) -> Path:
    return keys / _FILE


def read_key(keys: Path) -> Sealer:
    """The sealer of an existing installation. Raises MachineTrouble when its key file is missing, open or broken."""
    path = key_file(keys)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text()
    except FileNotFoundError as error:
        raise MachineTrouble(
            f"{path}: the service key is missing, and the access keys in the database are sealed with it. "
            "Put the file back from a backup of this home, or start with another home (--home or OUTCROP_HOME)."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise MachineTrouble(
            f"{path}: the service key cannot be read ({error}). "
            "Make the file readable for the user who starts Outcrop, or put it back from a backup."
        ) from error
    if mode & 0o077:
        raise MachineTrouble(f"{path}: others on this machine may read the service key. Run: chmod 600 '{path}'")
    return Sealer(_key_in(text, path))


def read_or_make_key(keys: Path) -> Sealer:
    """The sealer of a home that may be new. Of several processes that make the key at once, all get the same one."""
    path = key_file(keys)
    try:
        keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _place(path, secrets.token_hex(KEY_BYTES) + "\n")
    except OSError as error:
        raise MachineTrouble(
            f"{keys}: the service key cannot be written ({error.strerror}). "
            "Make the folder writable, or choose another home with --home or OUTCROP_HOME."
        ) from error
    return read_key(keys)


def _place(path: Path, text: str) -> None:
    """Write a file that is whole from the first moment it has its name, and that never replaces another."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # A link fails where the name exists: the process that comes second keeps the key of the first.
        os.link(draft, path)
        _keep_entry(path.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _keep_entry(folder: Path) -> None:
    # The database may outlive a power failure, so the name of the key must too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _key_in(text: str, path: Path) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MachineTrouble(
            f"{path}: expected {2 * KEY_BYTES} hexadecimal digits, found something else. "
            "Put the file back from a backup."
        )
    return key
