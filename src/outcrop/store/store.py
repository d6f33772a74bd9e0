"""The persistent state of an installation: one database and one folder of files, opened once per process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop import private
from outcrop.errors import MachineTrouble
from outcrop.settings import Settings, make_home
from outcrop.store.database import open_database, writing
from outcrop.store.idempotency import Idempotency
from outcrop.store.objects import ObjectFiles
from outcrop.store.point_reads import PointReads
from outcrop.store.references import References
from outcrop.store.resources import Resources
from outcrop.store.tags import Tags

_PLACE = "database.url"
"In a home whose records are elsewhere: where, without the password."
_log = logging.getLogger("outcrop.store")


@dataclass(frozen=True, kw_only=True)
class Store:
    """The records and files of one installation. Rooms with tables of their own make them on `engine`."""

    engine: Engine
    resources: Resources
    references: References
    tags: Tags
    idempotency: Idempotency
    objects: ObjectFiles
    points: PointReads

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Raises MachineTrouble when the home cannot be written, or belongs to a newer Outcrop."""
        make_home(settings)
        try:
            _close(settings.home)
            objects = ObjectFiles(settings.objects)
        except OSError as error:
            raise MachineTrouble(
                f"{settings.home}: the home cannot be written ({error.strerror}). Make it writable, or choose another "
                "with --home or OUTCROP_HOME."
            ) from error
        check_place(settings)
        engine = open_database(settings.database)
        _note_place(settings)
        with writing(engine):  # every table in one commit: a first start waits for the disk once
            resources = Resources(engine)
            return cls(
                engine=engine,
                resources=resources,
                references=References(engine, resources),
                tags=Tags(engine),
                idempotency=Idempotency(engine),
                objects=objects,
                points=resources.points,
            )

    @cached_property
    def is_local(self) -> bool:
        """Whether the database is a file on this machine. There, a row by its key is read faster than a thread is woken
        to read it."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside happens together or not at all, whichever room's methods write it.

        Keep it short: on SQLite every other writer waits meanwhile.
        """
        with writing(self.engine):
            yield

    def close(self) -> None:
        """Close the database's connections; a closed store opens new ones when used again."""
        self.engine.dispose()


def check_place(settings: Settings) -> None:
    """Raises MachineTrouble for a home whose records are in a database that nobody named now."""
    noted = settings.home / _PLACE
    if not settings.database_url and noted.exists():
        raise MachineTrouble(
            f"{settings.home}: its records are in {noted.read_text().strip()}. Set OUTCROP_DATABASE_URL to that "
            f"address, with the password where it needs one; or remove {noted} to begin anew with SQLite."
        )


def _note_place(settings: Settings) -> None:
    """Note the address of a database that is not in the home; a command without it would begin another there."""
    if settings.database_url:
        noted, address = settings.home / _PLACE, sql.make_url(settings.database_url).render_as_string()
        if not noted.exists() or noted.read_text() != f"{address}\n":
            noted.write_text(f"{address}\n")
            private.close_to_others(noted)


def _close(home: Path) -> None:
    """Close the home to others, and say so where it was open."""
    try:
        places = private.close_home(home)
    except PermissionError:
        text = "%s: belongs to another user, who may read what is put there. Choose a home of your own"
        _log.warning(text, home)
        return
    if places:
        _log.warning(
            "%s: %d files and folders in it were open to others on this machine; now they are not", home, places
        )
