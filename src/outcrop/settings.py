"""Where things are: read once from the environment and the command line at start, and then passed along."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from outcrop import private

DEFAULT_PORT = 4580
DEFAULT_HOST = "127.0.0.1"
DEFAULT_REGION = "us-east-1"
PARTS_FILE = "parts.json"
"In the home: what the supervisor writes down of the processes it keeps alive."


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Places of one installation. No secret lives here, so it may be printed."""

    home: Path
    "All data of this installation."
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    database_url: str = ""
    "SQLAlchemy URL; empty means SQLite in the home."
    threads: int = 0
    "CPU threads for training and for each engine; 0 leaves the choice to torch."
    devices: int = 1
    "GPUs that train a job together; processes of a CPU where there are none. It changes no result."

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'outcrop.db'}"

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
    def sockets(self) -> Path:
        """A private folder, as a rule in the home; see `private.make_socket_folder`."""
        return private.socket_folder(self.home)

    def hidden(self, text: str) -> str:
        """`text` for a client, who need not know where the home is."""
        return text.replace(str(self.home), "$OUTCROP_HOME")

    @property
    def endpoint(self) -> str:
        """The address a client on this machine is pointed at."""
        host = DEFAULT_HOST if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def read(
    environment: Mapping[str, str] = os.environ,
    *,
    home: Path | None = None,
    host: str | None = None,
    port: int | None = None,
) -> Settings:
    """Settings from the command line where given, else the environment, else the defaults."""
    place = home or Path(environment.get("OUTCROP_HOME") or platformdirs.user_data_path("outcrop"))
    return Settings(
        home=place.expanduser().absolute(),
        host=host or environment.get("OUTCROP_HOST") or DEFAULT_HOST,
        port=port if port is not None else int(environment.get("OUTCROP_PORT") or DEFAULT_PORT),
        database_url=environment.get("OUTCROP_DATABASE_URL", ""),
        threads=int(environment.get("OUTCROP_THREADS") or 0),
        devices=int(environment.get("OUTCROP_DEVICES") or 1),
    )
