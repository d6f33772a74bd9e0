"""Aliases of KMS keys: names in a region, each for one key, and later for another of the same kind."""

from outcrop.keys import refusals
from outcrop.keys.key import ALIAS, TARGET, KeyState, KmsAlias, KmsKey, alias_arn
from outcrop.keys.keys import Keys
from outcrop.store.changing import Change, change
from outcrop.store.listing import Filters
from outcrop.store.resources import NameTaken, Page, Resource

MOST_ALIASES = 50
"Of a key: https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html"
_RESERVED = "alias/aws/"


class KeyAliases:
    """The aliases of an installation, in every region."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._store = keys.store

    def create(self, name: str, key: KmsKey) -> None:
        """Raises AlreadyExistsException, LimitExceededException, InvalidAliasNameException."""
        _check_name(name)
        _check_target(key)
        arn, now = alias_arn(key.region, key.account, name), self._keys.clock.now()
        row = Resource(
            arn=arn, kind=ALIAS, region=key.region, name=name, created=now, updated=now, document={TARGET: key.id}
        )
        with self._store.transaction():
            self._check_number(key)
            try:
                self._store.resources.add(row)
            except NameTaken as error:
                sentence = f"An alias with the name {arn} already exists"
                raise refusals.refusal("AlreadyExistsException", sentence) from error

    def update(self, name: str, key: KmsKey) -> None:
        """Let an alias mean another key. Raises NotFoundException, ValidationException for one of another kind."""
        _check_name(name)
        _check_target(key)
        alias = self.find(key.region, name)
        with self._store.transaction():
            before = self._keys.row(key.region, alias.key_id)
            old = None if before is None else KmsKey.of(before.resource())
            if old is not None and (old.usage, old.spec.is_symmetric) != (key.usage, key.spec.is_symmetric):
                raise refusals.invalid(
                    f"{alias.arn}: its key and {key.arn} are not of the same kind and usage. Make another alias."
                )
            if old is None or old.arn != key.arn:
                self._check_number(key)

            def decide(_row: Resource) -> Change:
                return Change(document={TARGET: key.id})

            change(self._store.resources, alias.arn, at=self._keys.clock.now(), decide=decide)

    def delete(self, region: str, name: str) -> None:
        """Raises NotFoundException."""
        _check_name(name)
        if not self._store.resources.remove(self.find(region, name).arn):
            raise refusals.no_alias(alias_arn(region, self._keys.account, name))

    def find(self, region: str, name: str) -> KmsAlias:
        """Raises NotFoundException."""
        row = self._store.resources.find(ALIAS, region, name)
        if row is None:
            raise refusals.no_alias(alias_arn(region, self._keys.account, name))
        return KmsAlias.of(row)

    def of_key(self, key_id: str) -> list[KmsAlias]:
        return [KmsAlias.of(row) for row in self._store.references.naming(ALIAS, [TARGET], key_id)]

    def page(self, *, region: str, key_id: str | None, most: int, token: str | None) -> Page:
        """Rows of aliases by their names, of one key where one is named."""
        filters = Filters() if key_id is None else Filters(equals={TARGET: key_id})
        return self._store.resources.list(
            ALIAS, region, filters=filters, sort_by="name", descending=False, max_results=most, token=token
        )

    def _check_number(self, key: KmsKey) -> None:
        if len(self._store.references.naming(ALIAS, [TARGET], key.id)) >= MOST_ALIASES:
            raise refusals.limit_exceeded(f"{key.arn} has {MOST_ALIASES} aliases already. Delete some.")


def _check_name(name: str) -> None:
    if not name.startswith("alias/") or name == "alias/":
        raise refusals.invalid("Invalid identifier: an alias is called alias/ and a name. Write it so.")
    if name.startswith(_RESERVED):
        raise refusals.refusal(
            "NotAuthorizedException", f"{name}: aliases under {_RESERVED} are AWS's own. Choose another name."
        )
    if ":" in name:
        raise refusals.invalid(f"{name} contains invalid characters for an alias. Use letters, digits and /_- only.")


def _check_target(key: KmsKey) -> None:
    if key.state is KeyState.PENDING_DELETION:
        raise refusals.pending_deletion(key.arn)
