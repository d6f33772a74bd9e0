"""Grants on record: made, listed, taken back by who may administer the key, given back by who holds them."""

from collections.abc import Sequence

from outcrop.keys import refusals
from outcrop.keys.grants import GrantConstraints, KeyGrant, new_grant_id, new_token, read_token
from outcrop.keys.key import KmsKey
from outcrop.keys.keys import Keys, check_enabled

MOST_GRANTS = 50_000
"Of a key: https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html"


class KeyGrants:
    """The grants of an installation's keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._records = keys.records

    def create(
        self,
        key: KmsKey,
        *,
        grantee: str,
        retiring: str,
        operations: Sequence[str],
        constraints: GrantConstraints,
        name: str,
    ) -> KeyGrant:
        """A new grant; one that has a name and is like an earlier one is that. Raises LimitExceededException."""
        check_enabled(key)
        if constraints != GrantConstraints() and not key.spec.is_symmetric:
            raise refusals.invalid("Constraints: only symmetric encryption keys have a context. Leave them out.")
        grant_id = new_grant_id()
        made = KeyGrant(
            key_arn=key.arn, grantee=grantee, retiring=retiring, operations=tuple(dict.fromkeys(operations)),
            constraints=constraints, name=name, token=new_token(key.id, grant_id), account=key.account,
            id=grant_id, created=self._keys.clock.now(),
        )  # fmt: skip
        with self._keys.store.transaction():
            present = self._records.grants(key.arn)
            alike = next((each for each in present if name and _terms(each) == _terms(made)), None)
            if alike is not None:
                return alike
            if len(present) >= MOST_GRANTS:
                raise refusals.limit_exceeded(f"{key.arn} has {MOST_GRANTS:,} grants already. Retire some.")
            self._records.add_grant(made)
        return made

    def revoke(self, key: KmsKey, grant_id: str) -> None:
        """Raises NotFoundException."""
        self.find(key.arn, grant_id)
        self._records.remove_grant(grant_id)

    def find(self, key_arn: str, grant_id: str) -> KeyGrant:
        """Raises NotFoundException."""
        found = next((each for each in self._records.grants(key_arn) if each.id == grant_id), None)
        if found is None:
            raise refusals.refusal("NotFoundException", f"Grant ID {grant_id} not found")
        return found

    def of_token(self, region: str, token: str) -> KeyGrant:
        """The grant that a token was given for. Raises InvalidGrantTokenException."""
        named = read_token(token)
        row = None if named is None else self._keys.row(region, named.key_id)
        grants = [] if row is None else self._records.grants(row.arn)
        found = next((each for each in grants if each.token == token), None)
        if found is None:
            raise refusals.refusal(
                "InvalidGrantTokenException", "A grant token in the request is none that was given here. Leave it out."
            )
        return found

    def page(
        self, *, most: int, after: str, key_arn: str = "", retiring: str = "", grantee: str = ""
    ) -> list[KeyGrant]:
        """Grants by their ids, behind one: of a key, or with a retiring principal."""
        return self._records.grants_page(key_arn=key_arn, retiring=retiring, grantee=grantee, after=after, most=most)


def _terms(grant: KeyGrant) -> tuple[object, ...]:
    members = grant.constraints.members()
    return grant.grantee, grant.retiring, set(grant.operations), members, grant.name
