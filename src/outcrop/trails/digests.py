"""Digest files: the log files of an hour with their SHA-256 digests, signed, each pointing to the digest before it.

`aws cloudtrail validate-logs` verifies them with the keys that ListPublicKeys gives out.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from outcrop.trails.log_files import TrailFile, digest_key, packed, utc
from outcrop.trails.progress import Delivered, Digest
from outcrop.trails.signing_keys import ALGORITHM, PublicKey
from outcrop.trails.trail import Trail

_HASH = "SHA-256"


def digest_file(
    trail: Trail,
    account: str,
    region: str,
    files: Sequence[Delivered],
    *,
    begin: datetime,
    end: datetime,
    before: Digest | None,
    key: PublicKey,
) -> TrailFile:
    """The digest of the files that were delivered between two moments."""
    name = digest_key(trail, account, region, end)
    times = [time for file in files for time in (file.oldest, file.newest)]
    document: dict[str, Any] = {
        "awsAccountId": account,
        "digestStartTime": utc(begin),
        "digestEndTime": utc(end),
        "digestS3Bucket": trail.bucket,
        "digestS3Object": name,
        "digestPublicKeyFingerprint": key.fingerprint,
        "digestSignatureAlgorithm": ALGORITHM,
        "newestEventTime": max(times, default=None),
        "oldestEventTime": min(times, default=None),
        "previousDigestS3Bucket": before.bucket if before else None,
        "previousDigestS3Object": before.key if before else None,
        "previousDigestHashValue": before.sha256 if before else None,
        "previousDigestHashAlgorithm": _HASH if before else None,
        "previousDigestSignature": before.signature if before else None,
        "logFiles": [
            {
                "s3Bucket": file.bucket,
                "s3Object": file.key,
                "hashValue": file.sha256,
                "hashAlgorithm": _HASH,
                "newestEventTime": file.newest,
                "oldestEventTime": file.oldest,
            }
            for file in files
        ],
    }
    return packed(name, document)


def signed_text(document: Mapping[str, Any], sha256: str) -> bytes:
    """The text that the signature of a digest is over; `sha256` is of the digest file, not compressed."""
    place = f"{document['digestS3Bucket']}/{document['digestS3Object']}"
    before = document["previousDigestSignature"] or "null"
    return f"{document['digestEndTime']}\n{place}\n{sha256}\n{before}".encode()


def metadata(signature: str) -> dict[str, str]:
    """The metadata of a digest file in the bucket."""
    return {"signature": signature, "signature-algorithm": ALGORITHM}
