"""Everything on record in this room, by noun, and the one row of the installation.

Rows only; IAM's rules stand in `identities.py`, `policies/attachments.py` and `credentials.py`.
"""

from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.access.records.identities import GroupRecords, IdentityRecords
from outcrop.access.records.keys import KeyRecords, ServiceCredentialRecords
from outcrop.access.records.policies import PolicyRecords, VersionRecords
from outcrop.access.records.tables import Tables, table

_installation = table(
    "installation",
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("account", sql.String, nullable=False),
    sql.Column("seal_check", sql.LargeBinary, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class InstallationRow:
    """The account of an installation, and what proves that its service key is the right one."""

    account: str
    seal_check: bytes


class Records(Tables):
    """The rows of one installation's users, policies and keys."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.identities = IdentityRecords(self)
        self.groups = GroupRecords(self)
        self.policies = PolicyRecords(self)
        self.versions = VersionRecords(self)
        self.keys = KeyRecords(self)
        self.service_credentials = ServiceCredentialRecords(self)

    def installation(self) -> InstallationRow | None:
        row = self.first(sql.select(_installation.c.account, _installation.c.seal_check))
        return None if row is None else InstallationRow(**row._mapping)

    def add_installation(self, row: InstallationRow) -> None:
        self.write(sql.insert(_installation).values(id=1, account=row.account, seal_check=row.seal_check))

    def set_seal_check(self, seal_check: bytes) -> None:
        self.write(sql.update(_installation).values(seal_check=seal_check))

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of an identity or of a managed policy; none of what is not there."""
        found = self.identities.with_arn(arn) or self.policies.with_arn(arn)
        return {} if found is None else dict(found.tags)
