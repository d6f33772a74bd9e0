"""KMS keys: made, found, enabled and disabled, rotated, and deleted when their days of waiting are over.

    key = house.keys.create(region="us-east-1", spec=SPECS["SYMMETRIC_DEFAULT"], ...)
    blob = house.keys.encrypt(key, b"secret", context={"tenant": "jane"})
    house.keys.decrypt(key, blob, context={"tenant": "jane"}).plaintext

Who may do so is asked elsewhere. Material lies in the database sealed by the root key, and in clear only while it is
used. A key whose deletion is due is not found from that moment on, whether it was swept away already or not.
"""

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from outcrop.clock import Clock
from outcrop.errors import MachineTrouble
from outcrop.keys import ciphertext, refusals, signing
from outcrop.keys.ciphertext import BlobHead
from outcrop.keys.key import ALIAS, KEY, TARGET, KeyState, KmsKey, find_key, key_arn
from outcrop.keys.records import KeyMaterial, KmsRecords
from outcrop.keys.root_key import KEY_BYTES, Sealer
from outcrop.keys.specs import KeySpec, KeyUsage
from outcrop.store.changing import Change, change
from outcrop.store.database import alone, writing
from outcrop.store.resources import Page, Resource, Row
from outcrop.store.store import Store

MOST_KEYS = 100_000
"Of a region: https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html"
MOST_ROTATIONS = 25
"On demand, over the whole life of a key."
ROTATION_DAYS = 365
WAITING_DAYS = 30
_WAITING = range(7, 31)
CUSTOMER, AWS = "CUSTOMER", "AWS"
"Who manages a key."
_INSTALLATION = "installation"
"Stands where material has the ARN of its key."
_AUTOMATIC, _ON_DEMAND = "AUTOMATIC", "ON_DEMAND"


@dataclass(frozen=True, kw_only=True)
class Decrypted:
    """The plaintext of a blob, and the material that opened it."""

    plaintext: bytes
    material_id: str


class InstallationMaterial(NamedTuple):
    """A material of the installation's own key, which seals what no key of KMS was named for."""

    id: str
    plaintext: bytes


class Keys:
    """The keys of an installation, in every region."""

    def __init__(self, store: Store, clock: Clock, account: str, sealer: Sealer) -> None:
        self.store = store
        self.clock = clock
        self.account = account
        self.records = KmsRecords(store.engine)
        self.sealer = sealer
        store.references.index(ALIAS, TARGET)

    def create(
        self,
        *,
        region: str,
        spec: KeySpec,
        usage: KeyUsage,
        description: str,
        policy: str,
        tags: Mapping[str, str],
        manager: str = CUSTOMER,
    ) -> KmsKey:
        """A new enabled key with its first material. Raises LimitExceededException."""
        now, key_id = self.clock.now(), str(uuid.uuid4())
        arn = key_arn(region, self.account, key_id)
        made = spec.make()  # before the transaction: an RSA key takes a second
        material = self._material(arn, 0, made, made_by="")
        document: dict[str, Any] = {
            "spec": spec.name, "usage": usage, "description": description, "policy": policy,
            "materialId": material.id, "manager": manager,
        }  # fmt: skip
        row = Resource(
            arn=arn, kind=KEY, region=region, name=key_id, status=KeyState.ENABLED, created=now, updated=now,
            document=document,
        )  # fmt: skip
        with self.store.transaction():
            if self.store.resources.count_in(KEY, region) >= MOST_KEYS:
                raise refusals.limit_exceeded(f"There are {MOST_KEYS:,} keys in {region} already. Delete some.")
            self.store.resources.add(row)
            self.records.add_material(material)
            self.store.tags.put(arn, tags)
        return KmsKey.of(row)

    def row(self, region: str, spelling: str) -> Row | None:
        """The row of the key that a KeyId stands for."""
        return find_key(self.store.resources, region, self.account, spelling)

    def get(self, arn: str) -> KmsKey | None:
        """The key with this ARN; None when there is none, or none any more."""
        row = self.store.resources.get(arn)
        if row is None or row.kind != KEY:
            return None
        key = KmsKey.of(row)
        if key.deletion_at is not None and key.deletion_at <= self.clock.now():
            self._remove(key)
            return None
        return key

    def find(self, arn: str) -> KmsKey:
        """Raises NotFoundException."""
        key = self.get(arn)
        if key is None:
            raise refusals.no_key(arn)
        return key

    def page(self, *, region: str, most: int, token: str | None) -> Page:
        """Rows of a region's keys by their ids."""
        return self.store.resources.list(KEY, region, sort_by="name", descending=False, max_results=most, token=token)

    def set_enabled(self, arn: str, *, enabled: bool) -> None:
        """Raises NotFoundException, KMSInvalidStateException."""
        state = KeyState.ENABLED if enabled else KeyState.DISABLED
        self._change(arn, lambda _key: Change(status=state))

    def describe(self, arn: str, description: str) -> None:
        self._change(arn, lambda _key: {"description": description})

    def set_policy(self, arn: str, policy: str) -> None:
        """Put a policy that was checked; a key that waits for its deletion takes one too."""
        self._change(arn, lambda _key: {"policy": policy}, pending=True)

    def schedule_deletion(self, arn: str, days: int) -> KmsKey:
        """Raises ValidationException, KMSInvalidStateException for a key that waits already."""
        if days not in _WAITING:
            raise refusals.invalid(
                f"PendingWindowInDays: {days} is not from {_WAITING.start} to {_WAITING.stop - 1}. Choose one that is."
            )
        at = self.clock.now() + timedelta(days=days)
        document = {"deletionAt": at.isoformat(), "waitingDays": days}
        return self._change(arn, lambda _key: document, status=KeyState.PENDING_DELETION)

    def cancel_deletion(self, arn: str) -> None:
        """Leave the key disabled. Raises KMSInvalidStateException for a key that does not wait."""

        def decide(key: KmsKey) -> dict[str, Any]:
            if key.state is not KeyState.PENDING_DELETION:
                raise refusals.not_pending_deletion(arn)
            return {"deletionAt": None, "waitingDays": None}

        self._change(arn, decide, status=KeyState.DISABLED, pending=True)

    def set_rotation(self, arn: str, days: int | None) -> None:
        """Rotate every so many days, or no more. Raises UnsupportedOperationException but for symmetric keys."""

        def decide(key: KmsKey) -> dict[str, Any]:
            check_enabled(key)
            check_rotates(key)
            following = None if days is None else (self.clock.now() + timedelta(days=days)).isoformat()
            return {"rotationDays": days, "nextRotation": following}

        self._change(arn, decide)

    def rotate(self, arn: str) -> None:
        """Give the key new material, which encrypts from now on. Raises LimitExceededException, and as above."""
        key = self.find(arn)
        check_enabled(key)
        check_rotates(key)
        with self.store.transaction():
            told = [each for each in self.records.materials(arn) if each.made_by == _ON_DEMAND]
            if len(told) >= MOST_ROTATIONS:
                raise refusals.limit_exceeded(
                    f"{arn} was rotated on demand {MOST_ROTATIONS} times, which is the most. Use automatic rotation, "
                    "or a new key."
                )
            self._rotate(arn, _ON_DEMAND)

    def turn(self) -> None:
        """Delete and rotate the keys for which it is time."""
        for row in self.store.resources.in_states(KEY, [KeyState.PENDING_DELETION]):
            self.get(row.arn)
        for row in self.store.resources.in_states(KEY, [KeyState.ENABLED]):
            self._rotated(KmsKey.of(row))

    def encrypt(
        self, key: KmsKey, plaintext: bytes, *, context: Mapping[str, str], algorithm: str | None = None
    ) -> bytes:
        """The ciphertext. Raises the refusals of a key that cannot encrypt, or not so."""
        chosen = self._algorithm(key, KeyUsage.ENCRYPT_DECRYPT, "Encrypt", algorithm)
        if not key.spec.is_symmetric:
            check_no_context(context)
            return signing.encrypt(self._opened(key, key.material_id), plaintext, chosen, key.spec.name)
        key = self._rotated(key)
        head = BlobHead(key.id, key.material_id)
        material = self._opened(key, key.material_id)
        return ciphertext.encrypt(plaintext, head=head, material=material, context=context)

    def decrypt(
        self, key: KmsKey, blob: bytes, *, context: Mapping[str, str], algorithm: str | None = None
    ) -> Decrypted:
        """Raises InvalidCiphertextException, and the refusals of a key that cannot decrypt, or not so."""
        chosen = self._algorithm(key, KeyUsage.ENCRYPT_DECRYPT, "Decrypt", algorithm)
        if not key.spec.is_symmetric:
            check_no_context(context)
            opened = signing.decrypt(self._opened(key, key.material_id), blob, chosen)
            material_id = key.material_id
        else:
            head = ciphertext.read_head(blob)
            if head is None:
                raise refusals.invalid_ciphertext("The ciphertext is damaged, or was not made by this service.")
            if head.key_id != key.id:
                raise refusals.refusal(
                    "IncorrectKeyException",
                    "The key ID in the request does not identify a CMK that can perform this operation.",
                )
            if self.records.material(key.arn, head.material_id) is None:
                raise refusals.invalid_ciphertext()
            material_id = head.material_id
            material = self._opened(key, material_id)
            opened = ciphertext.decrypt(blob, material=material, context=context)
        if opened is None:
            raise refusals.invalid_ciphertext()
        return Decrypted(plaintext=opened, material_id=material_id)

    def private_key(self, key: KmsKey, usage: KeyUsage, operation: str, algorithm: str | None) -> tuple[bytes, str]:
        """The material of a key for signatures or codes, and the algorithm that was chosen."""
        chosen = self._algorithm(key, usage, operation, algorithm)
        return self._opened(key, key.material_id), chosen

    def public_key(self, key: KmsKey) -> bytes:
        """The public half in DER. Raises UnsupportedOperationException for a key without one."""
        check_enabled(key)
        if not key.spec.is_asymmetric:
            raise refusals.unsupported(f"{key.arn} is no asymmetric key, so it has no public key.")
        return signing.public_key(self._opened(key, key.material_id))

    def installation_material(self, material_id: str = "") -> InstallationMaterial | None:
        """The material with this id; without one, the material that seals now, made at its first use.

        It is no key of KMS: nobody lists, disables or deletes it. None where there is none with this id.
        """
        if material_id:
            found = self.records.material(_INSTALLATION, material_id)
        else:
            found = next(iter(self.records.materials(_INSTALLATION)), None) or self._made_for_installation()
        return None if found is None else InstallationMaterial(found.id, self._unsealed(found))

    def _made_for_installation(self) -> KeyMaterial:
        with writing(self.store.engine) as connection:
            alone(connection, _INSTALLATION)
            present = self.records.materials(_INSTALLATION)  # another process may have been faster
            if present:
                return present[0]
            made = self._material(_INSTALLATION, 0, secrets.token_bytes(KEY_BYTES), made_by="")
            self.records.add_material(made)
            return made

    def reseal(self, new: Sealer) -> int:
        """Seal all material with another root key; returns how many. The caller has a transaction open."""
        materials = self.records.all_materials()
        for material in materials:
            about = _about(material.key_arn, material.id)
            self.records.set_sealed(material, new.seal_bytes(self._unsealed(material), about=about))
        return len(materials)

    def _algorithm(self, key: KmsKey, usage: KeyUsage, operation: str, asked: str | None) -> str:
        check_enabled(key)
        if key.usage is not usage:
            raise refusals.wrong_usage(key.arn, key.usage, operation)
        allowed = key.spec.algorithms[usage]
        chosen = asked or (allowed[0] if key.spec.is_symmetric else "SYMMETRIC_DEFAULT")
        if chosen not in allowed:
            raise refusals.refusal(
                "InvalidKeyUsageException",
                f"Algorithm {chosen} is incompatible with key spec {key.spec.name}. It takes {', '.join(allowed)}.",
            )
        return chosen

    def _rotated(self, key: KmsKey) -> KmsKey:
        """The key, after the automatic rotation that is due."""
        if key.next_rotation is None or key.next_rotation > self.clock.now():
            return key
        return self._rotate(key.arn, _AUTOMATIC, due=key.next_rotation)

    def _rotate(self, arn: str, made_by: str, *, due: datetime | None = None) -> KmsKey:
        with self.store.transaction():
            key = self.find(arn)
            if due is not None and key.next_rotation != due:  # another process was faster
                return key
            number = len(self.records.materials(arn))
            material = self._material(arn, number, key.spec.make(), made_by=made_by)
            self.records.add_material(material)
            document: dict[str, Any] = {"materialId": material.id}
            if key.rotation_days is not None:
                document["nextRotation"] = (self.clock.now() + timedelta(days=key.rotation_days)).isoformat()
            return self._change(arn, lambda _key: document)

    def _material(self, arn: str, number: int, made: bytes, *, made_by: str) -> KeyMaterial:
        material_id = uuid.uuid4().hex + uuid.uuid4().hex
        sealed = self.sealer.seal_bytes(made, about=_about(arn, material_id))
        return KeyMaterial(
            key_arn=arn, id=material_id, number=number, made_by=made_by, created=self.clock.now(), sealed=sealed
        )

    def _opened(self, key: KmsKey, material_id: str) -> bytes:
        material = self.records.material(key.arn, material_id)
        if material is None:
            raise MachineTrouble(
                f"{key.arn}: its material is missing from the database. Restore the database from a backup."
            )
        return self._unsealed(material)

    def _unsealed(self, material: KeyMaterial) -> bytes:
        opened = self.sealer.open_bytes(material.sealed, about=_about(material.key_arn, material.id))
        if opened is None:
            raise MachineTrouble(
                f"{material.key_arn}: its material in the database is damaged, or was not sealed with this home's root "
                "key. Put back the root key and the database from the same backup; without them nobody can open what "
                "this key encrypted."
            )
        return opened

    def _change(
        self,
        arn: str,
        decide: Callable[[KmsKey], Change | dict[str, Any]],
        *,
        status: KeyState | None = None,
        pending: bool = False,
    ) -> KmsKey:
        """`pending`: a key that waits for its deletion is changed too."""
        self.find(arn)

        def decided(row: Resource) -> Change:
            key = KmsKey.of(row)
            if key.state is KeyState.PENDING_DELETION and not pending:
                raise refusals.pending_deletion(arn)
            found = decide(key)
            if isinstance(found, Change):
                return found
            return Change(status=status, document={**row.document, **found})

        return KmsKey.of(change(self.store.resources, arn, at=self.clock.now(), decide=decided))

    def _remove(self, key: KmsKey) -> None:
        with self.store.transaction():
            for alias in self.store.references.naming(ALIAS, [TARGET], key.id):
                self.store.resources.remove(alias.arn)
            self.records.remove_key(key.arn)
            self.store.resources.remove(key.arn)
            self.store.tags.clear(key.arn)


def check_enabled(key: KmsKey) -> None:
    """Raises DisabledException, or KMSInvalidStateException for a key that waits for its deletion."""
    if key.state is KeyState.DISABLED:
        raise refusals.disabled(key.arn)
    if key.state is KeyState.PENDING_DELETION:
        raise refusals.pending_deletion(key.arn)


def check_rotates(key: KmsKey) -> None:
    """Raises UnsupportedOperationException for a key whose material stays what it is."""
    if not key.spec.is_symmetric:
        raise refusals.unsupported(f"{key.arn}: only symmetric encryption keys are rotated. Make a new key instead.")


def check_no_context(context: Mapping[str, str]) -> None:
    if context:
        raise refusals.invalid("EncryptionContext: an asymmetric key has none. Leave it out.")


def _about(arn: str, material_id: str) -> str:
    return f"kms {arn} {material_id}"
