"""The marks of a session, by which it is known beside its role: session tags and a source identity.

The marks also say which of the tags go on to the next session.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sql

from outcrop.access.policies.evaluation import Context
from outcrop.access.records.records import Records
from outcrop.access.records.tables import schema, table
from outcrop.errors import ServiceRefusal
from outcrop.store.database import create_tables

TAG_SESSION, SET_SOURCE_IDENTITY = "sts:TagSession", "sts:SetSourceIdentity"

# A table of its own, since homes of earlier versions have sessions without marks.
_table = table(
    "session_marks",
    sql.Column("key_id", sql.ForeignKey("access_sessions.key_id", ondelete="CASCADE"), primary_key=True),
    sql.Column("tags", sql.JSON, nullable=False),
    sql.Column("transitive", sql.JSON, nullable=False),
    sql.Column("source_identity", sql.String),
)


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The marks of one session, or those asked for."""

    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    "The keys of the tags that a session inherits which this one begins."
    source_identity: str | None = None

    @property
    def known(self) -> Context:
        """The condition keys about whoever holds the session; its tags stand before those of its role."""
        known = {f"aws:PrincipalTag/{key}": value for key, value in self.tags.items()}
        return known if self.source_identity is None else {**known, "aws:SourceIdentity": self.source_identity}

    @property
    def asked(self) -> Context:
        """The condition keys about a request for such a session."""
        asked: dict[str, str | tuple[str, ...]] = {f"aws:RequestTag/{key}": value for key, value in self.tags.items()}
        if self.tags:
            asked["aws:TagKeys"] = tuple(self.tags)
        if self.transitive:
            asked["sts:TransitiveTagKeys"] = self.transitive
        if self.source_identity is not None:
            asked["sts:SourceIdentity"] = self.source_identity
        return asked

    @property
    def actions(self) -> list[str]:
        """The actions beside sts:AssumeRole that whoever begins such a session must be allowed.

        Inherited marks count too.
        """
        tagging = [TAG_SESSION] if self.tags else []
        return tagging if self.source_identity is None else [*tagging, SET_SOURCE_IDENTITY]

    def next(self, asked: "Marks") -> "Marks":
        """The marks of a session that the holder of this one begins.

        Raises ValidationError where an inherited tag would get another value, AccessDenied for another source identity.
        """
        inherited = {key: value for key, value in self.tags.items() if key in self.transitive}
        twice = {key.lower() for key in inherited} & {key.lower() for key in asked.tags}
        if twice:
            raise _invalid(
                f"Tags: {', '.join(sorted(twice))} came with the calling session and cannot be set again. Leave it out."
            )
        if self.source_identity is not None and asked.source_identity not in (None, self.source_identity):
            sentence = f"SourceIdentity: the calling session has {self.source_identity!r}, which cannot be changed."
            raise ServiceRefusal("AccessDenied", sentence, http_status=403)
        return Marks(
            tags={**inherited, **asked.tags},
            transitive=(*inherited, *asked.transitive),
            source_identity=self.source_identity or asked.source_identity,
        )


UNMARKED = Marks()


def parse_marks(tags: Iterable[Mapping[str, str]], transitive: Iterable[str], source_identity: str | None) -> Marks:
    """Raises ValidationError for tags whose keys are the same but for case, that are AWS's, or that are not there."""
    pairs = [(tag["Key"], tag["Value"]) for tag in tags]
    keys = [key.lower() for key, _ in pairs]
    for key, _ in pairs:
        if keys.count(key.lower()) > 1:
            raise _invalid(f"Tags: {key} is given twice; keys are compared without case. Keep one.")
        if key.lower().startswith("aws:"):
            raise _invalid(f"Tags: {key} begins with aws:, which belongs to AWS. Choose another key.")
    passed = dict(pairs)
    for key in transitive:
        if key not in passed:
            raise _invalid(f"TransitiveTagKeys: {key} is not among Tags. Pass the tag, or leave the key out.")
    return Marks(tags=passed, transitive=tuple(dict.fromkeys(transitive)), source_identity=source_identity)


class MarkRecords:
    """The marks of sessions that have any."""

    def __init__(self, records: Records) -> None:
        self._records = records
        create_tables(records.engine, schema)

    def of(self, key_id: str) -> Marks:
        row = self._records.first(sql.select(_table).where(_table.c.key_id == key_id))
        if row is None:
            return UNMARKED
        return Marks(tags=row.tags, transitive=tuple(row.transitive), source_identity=row.source_identity)

    def add(self, key_id: str, marks: Marks) -> None:
        """Unnoted, as its session is."""
        if marks == UNMARKED:
            return
        values = {"tags": dict(marks.tags), "transitive": list(marks.transitive)}
        self._records.write_unnoted(
            sql.insert(_table).values(key_id=key_id, source_identity=marks.source_identity, **values)
        )


def _invalid(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("ValidationError", sentence, http_status=400)
