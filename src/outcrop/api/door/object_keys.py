"""Keys of KMS that seal objects: who reads or writes one at any entrance needs the right to them."""

from outcrop.api.door.call import Call
from outcrop.buckets.encryption import EncryptionMethod, ObjectEncryption
from outcrop.buckets.names import Place
from outcrop.buckets.records import ObjectRecord
from outcrop.house import House

DECRYPT, GENERATE_DATA_KEY = "Decrypt", "GenerateDataKey"


def check_key(house: House, call: Call, operation: str, encryption: ObjectEncryption | None, place: Place) -> None:
    """Raises Denied where the caller may not use the key of KMS that seals what lies at this place."""
    if encryption is None or encryption.method is not EncryptionMethod.KMS:
        return
    house.access.authorize_key(call, operation, encryption.key_arn, service="s3", pairs=encryption.context(place))


def check_read(house: House, call: Call, record: ObjectRecord) -> None:
    """Raises Denied for an object under a key that the caller may not open."""
    check_key(house, call, DECRYPT, record.details.encryption, Place(record.bucket, record.key))


def check_write(house: House, call: Call, place: Place) -> ObjectEncryption | None:
    """How an object put here would be sealed. Raises Denied where that is by a key that the caller may not use."""
    encryption = house.buckets.encryption_for(place.bucket)
    check_key(house, call, GENERATE_DATA_KEY, encryption, place)
    return encryption
