"""Where things are: read once from the environment and the command line at start, and then passed along."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from outcrop import private
from outcrop.errors import Invalid, MachineTrouble

DEFAULT_PORT = 4580
CONSOLE_PORT = 4581
DEFAULT_HOST = "127.0.0.1"
DEFAULT_REGION = "us-east-1"
_PORTS = range(1, 1 << 16)
_SECONDS = range(10_000_000)
_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMGT]?)(?:I?B)?", re.IGNORECASE | re.ASCII)
_HTTP_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?", re.ASCII)
_CLUSTER = re.compile(r"auto|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", re.ASCII)
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_SHORTEST_SECRET = 16
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
PARTS_FILE = "parts.json"
"In the home: what the supervisor writes down of the processes it keeps alive."


class Preload(StrEnum):
    """The processes for which a fork server reads the libraries before one is needed."""

    NONE = "none"
    ENGINES = "engines"
    ALL = "all"
    "Trainings too."


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long a record is kept, and how much of it."""

    days: int
    megabytes: int

    @property
    def age(self) -> timedelta:
        return timedelta(days=self.days)


POINTS_KEPT = Retention(days=15, megabytes=256)
"As long as CloudWatch keeps minutes."
AUDIT_KEPT = Retention(days=90, megabytes=512)
"As long as CloudTrail shows events."
IDLE = timedelta(minutes=5)
"As long as Bedrock keeps an imported model that nobody asks for."
PATIENCE = timedelta(seconds=45)
"""Clients wait for a minute as a rule: a request that is refused before that is asked again by the client itself, and
one that is not would be given up by it."""
MODEL_UNITS = 4
"One is then about what one stream takes, where the machine has two cores."


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Places of one installation. It may be printed: its secrets, a root key and a database's password, are left out
    then."""

    home: Path
    "All data of this installation."
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    console: bool = True
    "Whether `outcrop up` starts the console."
    console_port: int = CONSOLE_PORT
    console_url: str = ""
    "The console's address behind a proxy, with the path under which it is found; empty where there is no proxy."
    tls: bool = False
    "Whether the door and the console speak TLS with a certificate of this installation's own."
    tls_cert: Path | None = None
    "The certificate with which they do, with its chain; None, without `tls` too: they speak HTTP."
    tls_key: Path | None = None
    tls_ca: Path | None = None
    "The certificates that clients have to trust for it; None: those that they trust anyway."
    database_url: str = field(default="", repr=False)
    "SQLAlchemy URL, perhaps with a password; empty means SQLite in the home."
    threads: int = 0
    "CPU threads for training and for each engine; 0 leaves the choice to torch."
    preload: Preload = Preload.ENGINES
    "The processes whose libraries are read before one is needed."
    fork_server: Path | None = None
    "The socket of a fork server that several installations share; None: each starts its own."
    cluster: str = ""
    "The Ray cluster that trainings run on, `auto` or an address; empty: they run on this machine."
    node: str = ""
    "The node of a cluster on which this process runs; empty: the one where the server is."
    devices: int = 1
    "GPUs that train a job together; processes of a CPU where there are none. It changes no result."
    memory_limit: int = 0
    "Bytes of memory that engines and trainings may hold together; 0: the machine's, less a reserve."
    idle: timedelta = IDLE
    "So long an engine, or an adapter in one, stays in memory without a request; 0: as long as nobody needs the room."
    patience: timedelta = PATIENCE
    "So long a request waits for an engine that is not in memory, before it is told to come again."
    model_units: int = MODEL_UNITS
    "Into so many model units of provisioned throughput this machine is divided."
    points_kept: Retention = POINTS_KEPT
    "Of the points over time; 0 days: none are collected."
    audit_kept: Retention = AUDIT_KEPT
    "Of the record of calls."
    remote_models: bool = True
    "Whether models that were registered at a URL may be invoked; False: nothing leaves this installation."
    audit_data_events: bool = False
    "Whether that record has calls about objects in buckets too."
    root_key: str = field(default="", repr=False)
    "The root key as 64 hexadecimal digits; empty: it comes from the command below, or lies in the home."
    root_key_command: str = field(default="", repr=False)
    "A command that prints the root key; empty: there is none."
    guardrail_judge: str | None = None
    "The model id of a text model that guardrails ask, where none of their own is named."
    guardrail_encoder: str | None = None
    "That of an embedding model."
    alarm_webhook: str = ""
    "The address that notices of alarms are posted to; empty: there is none."
    alarm_secret: str = field(default="", repr=False)
    "What these notices are signed with."
    alarm_command: str = ""
    "A command that gets notices of alarms on its standard input; empty: there is none."
    seal: bool = False
    "Whether objects and models are sealed by the installation's key where nothing names another."
    batch_least_records: int = 0
    "Records that a batch inference job must have; Amazon Bedrock wants 100."

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'outcrop.db'}"

    @property
    def database_variables(self) -> dict[str, str]:
        """The environment variable by which a child finds the database; none where it lies in the home."""
        return {private.DATABASE_URL: self.database_url} if self.database_url else {}

    @property
    def objects(self) -> Path:
        return self.home / "objects"

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def log_events(self) -> Path:
        """The events of log groups; `logs` holds what the processes themselves say."""
        return self.home / "log-events"

    @property
    def vectors(self) -> Path:
        """The vectors of indexes."""
        return self.home / "vectors"

    @property
    def sockets(self) -> Path:
        """A private folder, as a rule in the home; see `private.make_socket_folder`."""
        return private.socket_folder(self.home)

    def hidden(self, text: str) -> str:
        """`text` for a client, who need not know where the home is."""
        return text.replace(str(self.home), "$OUTCROP_HOME")

    @property
    def endpoint(self) -> str:
        """The address a client on this machine is pointed at."""
        return self._at(self.port)

    @property
    def console_endpoint(self) -> str:
        """The address of the console for a browser: the proxy's where there is one."""
        return self.console_url or self._at(self.console_port)

    def _at(self, port: int) -> str:
        host = DEFAULT_HOST if self.host in ("0.0.0.0", "::") else self.host
        scheme = "http" if self.tls_cert is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def tls_variables(self) -> dict[str, str]:
        """The environment variables with the certificate that a process answers with, or trusts; none without TLS."""
        if self.tls_cert is None:
            return {}
        named = {"CERT": self.tls_cert, "KEY": self.tls_key, "CA": self.tls_ca}
        return {f"OUTCROP_TLS_{name}": str(path) if path is not None else "" for name, path in named.items()}

    @property
    def door_socket(self) -> Path:
        """The Unix socket at which a door with TLS is found by programs that this machine runs in sandboxes."""
        return self.sockets / "door"


def read(
    environment: Mapping[str, str] = os.environ,
    *,
    home: Path | None = None,
    host: str | None = None,
    port: int | None = None,
) -> Settings:
    """Settings from the command line where given, else the environment, else the defaults.

    Raises Invalid for a number that is none, or out of its range.
    """
    asked = _checked("--port", port, _PORTS) if port is not None else None
    webhook, secret = _webhook(environment)
    return Settings(
        home=_home(environment, home),
        host=host or environment.get("OUTCROP_HOST") or DEFAULT_HOST,
        port=asked or _number(environment, "OUTCROP_PORT", DEFAULT_PORT, _PORTS),
        console=_number(environment, "OUTCROP_CONSOLE", 1, range(2)) == 1,
        console_port=_number(environment, "OUTCROP_CONSOLE_PORT", CONSOLE_PORT, _PORTS),
        console_url=_url(environment, "OUTCROP_CONSOLE_URL"),
        tls=_number(environment, "OUTCROP_TLS", 0, range(2)) == 1,
        tls_cert=_path(environment, "OUTCROP_TLS_CERT"),
        tls_key=_path(environment, "OUTCROP_TLS_KEY"),
        tls_ca=_path(environment, "OUTCROP_TLS_CA"),
        database_url=environment.get(private.DATABASE_URL, "").strip(),
        threads=_number(environment, "OUTCROP_THREADS", 0, range(1 << 16)),
        preload=_preload(environment),
        fork_server=Path(shared) if (shared := environment.get("OUTCROP_FORK_SERVER")) else None,
        cluster=checked_cluster("OUTCROP_CLUSTER", environment.get("OUTCROP_CLUSTER", "")),
        node=environment.get("OUTCROP_NODE", "").strip(),
        devices=_number(environment, "OUTCROP_DEVICES", 1, range(1, 1 << 16)),
        memory_limit=_bytes(environment, "OUTCROP_MEMORY_LIMIT"),
        idle=timedelta(seconds=_number(environment, "OUTCROP_IDLE_SECONDS", int(IDLE.total_seconds()), _SECONDS)),
        patience=timedelta(
            seconds=_number(environment, "OUTCROP_PATIENCE_SECONDS", int(PATIENCE.total_seconds()), _SECONDS)
        ),
        model_units=_number(environment, "OUTCROP_MODEL_UNITS", MODEL_UNITS, range(1, 1 << 16)),
        points_kept=_retention(environment, "OUTCROP_METRICS", POINTS_KEPT, least_days=0),
        audit_kept=_retention(environment, "OUTCROP_AUDIT", AUDIT_KEPT, least_days=1),
        remote_models=_number(environment, "OUTCROP_REMOTE_MODELS", 1, range(2)) == 1,
        audit_data_events=_number(environment, "OUTCROP_AUDIT_DATA_EVENTS", 0, range(2)) == 1,
        root_key=environment.get(private.ROOT_KEY, "").strip(),
        root_key_command=environment.get(private.ROOT_KEY_COMMAND, "").strip(),
        guardrail_judge=environment.get("OUTCROP_GUARDRAIL_JUDGE", "").strip() or None,
        guardrail_encoder=environment.get("OUTCROP_GUARDRAIL_ENCODER", "").strip() or None,
        alarm_webhook=webhook,
        alarm_secret=secret,
        alarm_command=environment.get("OUTCROP_ALARM_COMMAND", "").strip(),
        seal=_number(environment, "OUTCROP_SEAL", 0, range(2)) == 1,
        batch_least_records=_number(environment, "OUTCROP_BATCH_LEAST_RECORDS", 0, range(1 << 31)),
    )


def checked_cluster(name: str, text: str) -> str:
    """The address of a Ray cluster as it was given, empty where none was. Raises Invalid."""
    address = text.strip()
    if address and not _CLUSTER.fullmatch(address):
        raise Invalid(
            f"{name}: {address[:80]!r} is no address of a Ray cluster. Give auto, for the one that this machine has "
            "joined, or the head's address, such as 10.0.0.1:6379."
        )
    return address


def make_home(settings: Settings) -> None:
    """Make the folder of all data where it is missing. Raises MachineTrouble."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError as error:
        raise MachineTrouble(
            f"{settings.home}: the home is a folder, and something else has this name. Choose another with --home or "
            "OUTCROP_HOME."
        ) from error
    except OSError as error:
        raise MachineTrouble(
            f"{settings.home}: the home cannot be written ({error.strerror}). Choose another with --home or "
            "OUTCROP_HOME."
        ) from error


def _home(environment: Mapping[str, str], given: Path | None) -> Path:
    place = given or Path(environment.get("OUTCROP_HOME") or platformdirs.user_data_path("outcrop"))
    try:
        return place.expanduser().absolute()
    except RuntimeError as error:
        raise Invalid(
            f"{place}: nobody knows whose home ~ is. Give the whole path with --home or OUTCROP_HOME."
        ) from error
    except FileNotFoundError as error:
        raise Invalid(
            f"{place}: the current folder is gone. Go to another, or give the whole path with --home."
        ) from error


def _retention(environment: Mapping[str, str], name: str, otherwise: Retention, *, least_days: int) -> Retention:
    return Retention(
        days=_number(environment, f"{name}_DAYS", otherwise.days, range(least_days, 10_000)),
        megabytes=_number(environment, f"{name}_MB", otherwise.megabytes, range(1, 1 << 20)),
    )


def _preload(environment: Mapping[str, str]) -> Preload:
    text = environment.get("OUTCROP_PRELOAD", "").strip() or Preload.ENGINES
    if text not in set(Preload):
        raise Invalid(f"OUTCROP_PRELOAD: {text[:40]!r} is none of {', '.join(Preload)}. Give one of them, or unset it.")
    return Preload(text)


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "").strip()
    return Path(text).expanduser().absolute() if text else None


def _number(environment: Mapping[str, str], name: str, otherwise: int, allowed: range) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return otherwise
    try:
        number = int(text)
    except ValueError as error:
        raise Invalid(f"{name}: {text[:40]!r} is no number. Give {_spoken(allowed)}, or unset it.") from error
    return _checked(name, number, allowed)


def _url(environment: Mapping[str, str], name: str) -> str:
    """An environment variable's address without its last slash, empty where nothing is said."""
    text = environment.get(name, "").strip().rstrip("/")
    if text and not _HTTP_URL.fullmatch(text):
        raise Invalid(
            f"{name}: {text[:80]!r} is no address. Give one such as https://lab.example/outcrop, or unset it."
        )
    return text


def _webhook(environment: Mapping[str, str]) -> tuple[str, str]:
    """The address that notices of alarms go to, and the secret they are signed with; both are empty, or neither."""
    url, secret = _url(environment, "OUTCROP_ALARM_WEBHOOK"), environment.get("OUTCROP_ALARM_SECRET", "").strip()
    if not url:
        return "", ""
    if not url.startswith("https://") and urlsplit(url).hostname not in _THIS_MACHINE:
        raise Invalid(
            "OUTCROP_ALARM_WEBHOOK: notices would leave this machine in clear. Give an address that begins with https://."
        )
    if len(secret) < _SHORTEST_SECRET:
        raise Invalid(
            f"OUTCROP_ALARM_SECRET: a webhook needs a secret of {_SHORTEST_SECRET} characters or more, by which it "
            "knows whose notices they are. Make one with `openssl rand -hex 32`."
        )
    return url, secret


def _bytes(environment: Mapping[str, str], name: str) -> int:
    """An environment variable's size in bytes, written such as `8GiB`, `8G`, `512 MiB`, or plain bytes. 0 where nothing
    is said."""
    text = environment.get(name, "").strip()
    if not text:
        return 0
    found = _SIZE.fullmatch(text)
    size = round(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size < 1:
        raise Invalid(f"{name}: {text[:40]!r} is no amount of memory. Give one such as 8GiB or 512MiB, or unset it.")
    return size


def _checked(name: str, number: int, allowed: range) -> int:
    if number not in allowed:
        raise Invalid(f"{name}: {number} is out of range. Give {_spoken(allowed)}.")
    return number


def _spoken(allowed: range) -> str:
    return f"a number from {allowed.start} to {allowed.stop - 1}"
