"""The root key, and secrets sealed with it: what the database holds is worthless without the root key.

AES-256-GCM; every sealed secret is bound to the id it belongs to, so rows cannot be exchanged for one another. The key
lies in `keys/service.key`, or comes with `OUTCROP_ROOT_KEY`, or is printed by the command in
`OUTCROP_ROOT_KEY_COMMAND`: 64 hexadecimal digits each.
"""

import os
import secrets
import shlex
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from outcrop import private
from outcrop.errors import MachineTrouble
from outcrop.settings import Settings

KEY_BYTES = 32
_NONCE_BYTES = 12
_FILE, _NEXT = "service.key", "service.key.next"
_PATIENCE_S = 60.0
_VARIABLE, _COMMAND = private.ROOT_KEY, private.ROOT_KEY_COMMAND


class Sealer:
    """Seals and opens texts and bytes with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, *, about: str) -> bytes:
        return self.seal_bytes(text.encode(), about=about)

    def open(self, sealed: bytes, *, about: str) -> str | None:
        """The text, or None when it was sealed with another key or about something else."""
        opened = self.open_bytes(sealed, about=about)
        return None if opened is None else opened.decode()

    def seal_bytes(self, content: bytes, *, about: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, about.encode())

    def open_bytes(self, sealed: bytes, *, about: str) -> bytes | None:
        """The content, or None when it was sealed with another key or about something else, or was damaged."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            return None


def key_file(keys: Path) -> Path:
    return keys / _FILE


def variables(settings: Settings) -> dict[str, str]:
    """The environment variables by which a process that opens the database gets the root key, and no other does."""
    given = {_VARIABLE: settings.root_key, _COMMAND: settings.root_key_command}
    return {name: value for name, value in given.items() if value}


def origin(settings: Settings) -> str:
    """The place that the root key comes from, as sentences name it."""
    if settings.root_key:
        return _VARIABLE
    return _COMMAND if settings.root_key_command else str(key_file(settings.keys))


def read_key(settings: Settings) -> Sealer:
    """The sealer of an existing installation. Raises MachineTrouble when its key is missing, open or broken."""
    outside = _from_outside(settings)
    return Sealer(_key_in_file(key_file(settings.keys)) if outside is None else outside)


def read_or_make_key(settings: Settings) -> Sealer:
    """The sealer of a home that may be new. Of several processes that make the key at once, all get the same one."""
    outside = _from_outside(settings)
    if outside is not None:
        return Sealer(outside)
    path = key_file(settings.keys)
    try:
        if not path.exists():
            _place(path, secrets.token_hex(KEY_BYTES) + "\n")
    except OSError as error:
        raise _unwritable(settings.keys, error) from error
    return read_key(settings)


def fitting_key(settings: Settings, fits: Callable[[Sealer], bool]) -> Sealer | None:
    """The sealer that fits an existing installation; one that a rewrapping had written but not put in place counts.

    None when there is a key, but another installation's. Raises MachineTrouble as `read_key` does.
    """
    following = settings.keys / _NEXT
    if following.exists():
        new = Sealer(_key_in_file(following))
        if fits(new):  # the database was changed, and the program ended before it could rename the file
            _rename(following, key_file(settings.keys))
            return new
    sealer = read_key(settings)
    return sealer if fits(sealer) else None


def write_next(keys: Path) -> Sealer:
    """The sealer of a new random key, whose file waits beside the one in use until `put_in_place`."""
    following = keys / _NEXT
    try:
        following.unlink(missing_ok=True)
        _place(following, secrets.token_hex(KEY_BYTES) + "\n")
    except OSError as error:
        raise _unwritable(keys, error) from error
    return Sealer(_key_in_file(following))


def put_in_place(keys: Path) -> None:
    """Let the key that `write_next` made be the installation's."""
    _rename(keys / _NEXT, key_file(keys))


def drop_file(keys: Path) -> None:
    """Remove the file of a key that is not used any more."""
    key_file(keys).unlink(missing_ok=True)


def key_from_text(text: str, where: str) -> Sealer:
    """The sealer of a key that was given as text. Raises MachineTrouble, which never repeats the text."""
    return Sealer(_key_in(text, where, "Make one with `openssl rand -hex 32`, and give the whole of it."))


def key_from_command(command: str, where: str) -> Sealer:
    """The sealer of the key that a command prints. Raises MachineTrouble."""
    return Sealer(_printed(command, where))


def _from_outside(settings: Settings) -> bytes | None:
    if settings.root_key and settings.root_key_command:
        raise MachineTrouble(f"{_VARIABLE} and {_COMMAND} are both set. Unset one: the root key comes from one place.")
    if settings.root_key:
        return _key_in(settings.root_key, _VARIABLE, "Set it to the root key that this home was made with.")
    return _printed(settings.root_key_command, _COMMAND) if settings.root_key_command else None


def _printed(command: str, where: str) -> bytes:
    try:
        words = shlex.split(command)
        ended = subprocess.run(words, capture_output=True, timeout=_PATIENCE_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        raise MachineTrouble(
            f"{where}: the command could not be run ({type(error).__name__}). Give a program with its arguments that "
            f"prints the root key within {_PATIENCE_S:.0f} seconds."
        ) from error
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip()[-200:]
        raise MachineTrouble(
            f"{where}: the command ended with exit code {ended.returncode} ({said}). See why it does not print the key."
        )
    return _key_in(ended.stdout.decode(errors="replace"), where, "Let the command print the root key and nothing else.")


def _key_in_file(path: Path) -> bytes:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text()
    except FileNotFoundError as error:
        raise MachineTrouble(
            f"{path}: the service key is missing, and the access keys and KMS keys in the database are sealed with it: "
            "nobody can open them without it. Put the file back from a backup of this home, give the key with "
            f"{_VARIABLE} or {_COMMAND} if it was kept elsewhere, or start with another home (--home or OUTCROP_HOME)."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise MachineTrouble(
            f"{path}: the service key cannot be read ({error}). "
            "Make the file readable for the user who starts Outcrop, or put it back from a backup."
        ) from error
    if mode & 0o077:
        raise MachineTrouble(f"{path}: others on this machine may read the service key. Run: chmod 600 '{path}'")
    return _key_in(text, str(path), "Put the file back from a backup.")


def _place(path: Path, text: str) -> None:
    """Write a file that is whole from the first moment it has its name, and that never replaces another."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
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


def _rename(path: Path, to: Path) -> None:
    try:
        path.replace(to)
        _keep_entry(to.parent)
    except FileNotFoundError:
        if not to.exists():  # else another process that started at this moment did the same
            raise
    except OSError as error:
        raise _unwritable(to.parent, error) from error


def _keep_entry(folder: Path) -> None:
    # The database may outlive a power failure, so the name of the key must too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(keys: Path, error: OSError) -> MachineTrouble:
    return MachineTrouble(
        f"{keys}: the service key cannot be written ({error.strerror}). "
        "Make the folder writable, or choose another home with --home or OUTCROP_HOME."
    )


def _key_in(text: str, where: str, mending: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MachineTrouble(f"{where}: expected {2 * KEY_BYTES} hexadecimal digits, found something else. {mending}")
    return key
