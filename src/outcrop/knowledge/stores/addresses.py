"""Addresses of the stores that an administrator lets knowledge bases use, in `stores.toml` of the home:

    ["arn:aws:rds:us-east-1:123456789012:cluster:rules"]
    url = "postgresql://user:password@host:5432/rules"

    ["redis-12345.example.com:12345"]
    url = "rediss://user:password@redis-12345.example.com:12345/0"

It stands for Secrets Manager, which does not exist here: a URL holds a password, so the file is its owner's alone, and
what it says goes into no record, answer or log.
"""

import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from outcrop.errors import Invalid, MachineTrouble
from outcrop.knowledge.stores.configuration import PostgresPlace, RedisPlace

FILE = "stores.toml"
_OTHERS = 0o077
_POSTGRES, _DRIVER = ("postgresql", "postgres"), "postgresql+psycopg"
_REDIS = ("redis://", "rediss://", "unix://")
_PATIENCE_S = 10
"For a server that does not answer."


def postgres_url(home: Path, place: PostgresPlace) -> sql.URL:
    """The address of a database. Raises Invalid where none is written down, MachineTrouble for a wrong one."""
    at = place.cluster_arn
    text = _written(home, at, f"postgresql://USER:PASSWORD@HOST:5432/{place.database}")
    try:
        url = sql.make_url(text)
    except sql.exc.ArgumentError:
        url = None
    if url is None or url.drivername not in (*_POSTGRES, _DRIVER):
        raise MachineTrouble(f'{FILE}: ["{at}"]: its url is none of PostgreSQL (postgresql://…). Mend the file.')
    if url.database not in (None, "", place.database):
        raise Invalid(
            f"rdsConfiguration.databaseName: {place.database}: the address of {at} in {FILE} leads to another "
            "database. Name that one, or let its administrator take the database out of the address."
        )
    waits = {} if "connect_timeout" in url.query else {"connect_timeout": str(_PATIENCE_S)}
    return url.set(drivername=_DRIVER, database=place.database).update_query_dict(waits)


def redis_url(home: Path, place: RedisPlace) -> str:
    """The address of a Redis server. Raises Invalid where none is written down, MachineTrouble for a wrong one."""
    text = _written(home, place.endpoint, f"rediss://USER:PASSWORD@{place.endpoint}/0")
    if not text.startswith(_REDIS):
        raise MachineTrouble(
            f'{FILE}: ["{place.endpoint}"]: its url is none of Redis ({", ".join(_REDIS)}…). Mend the file.'
        )
    return text


def _written(home: Path, name: str, example: str) -> str:
    """The address that is written down for a store. Raises Invalid, MachineTrouble."""
    table = _table(home / FILE)
    entry = table.get(name)
    if entry is None:
        raise Invalid(
            f"storageConfiguration: the address of {name} is not known here. Let the administrator write it into the "
            f'file {FILE} of the home (mode 0600), in two lines: ["{name}"] and url = "{example}"'
        )
    if not isinstance(entry, Mapping) or entry.keys() != {"url"} or not isinstance(entry["url"], str):
        raise MachineTrouble(f'{FILE}: ["{name}"]: expected one line, url = "{example}". Mend the file.')
    return str(entry["url"])


def _table(path: Path) -> Mapping[str, Any]:
    try:
        mode = path.stat().st_mode
        if mode & _OTHERS:
            raise MachineTrouble(
                f"{FILE}: open to others on this machine (mode {stat.S_IMODE(mode):04o}), and it holds passwords. Run: "
                f"chmod 600 '{path}'"
            )
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:  # whose text tells a line and a column, and nothing of the file
        raise MachineTrouble(f"{FILE}: no TOML: {error}. Mend the file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MachineTrouble(f"{FILE}: cannot be read ({type(error).__name__}). Mend the file.") from error
