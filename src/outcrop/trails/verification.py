"""Verification of what trails delivered: files that were changed, removed, exchanged or put in are found, by name.

Digests are held against their signatures, each other and what is on record of the last one; log files against the
digests, and against the record where no digest names them yet.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outcrop.buckets.buckets import Buckets
from outcrop.errors import Refusal
from outcrop.trails.digests import signed_text
from outcrop.trails.log_files import unpacked
from outcrop.trails.progress import Delivered, Digest, ProgressRecords
from outcrop.trails.signing_keys import PublicKey, verifies
from outcrop.trails.trail import Trail


@dataclass
class TrailCheck:
    """The result of verifying what one trail delivered."""

    trail: str
    digests: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)
    "A sentence each, beginning with the file."


@dataclass(frozen=True, kw_only=True)
class _ReadDigest:
    """A digest file in the bucket that is what its signature says."""

    document: Mapping[str, Any]
    sha256: str
    signature: str


class TrailVerifier:
    """Reads the buckets of trails with the rights of the installation itself."""

    def __init__(
        self,
        buckets: Buckets,
        progress: ProgressRecords,
        keys: Sequence[PublicKey],
        trails: Sequence[Trail],
        account: str,
    ) -> None:
        self._buckets = buckets
        self._progress = progress
        self._keys = {key.fingerprint: key.der for key in keys}
        self._trails = trails
        self._account = account

    def verify(self, trail: Trail) -> TrailCheck:
        """Everything that a trail with digests delivered."""
        check = TrailCheck(trail=trail.arn)
        try:
            digests = self._digests(trail, check)
        except Refusal as refused:
            check.problems.append(f"s3://{trail.bucket}: cannot be read ({refused.message})")
            return check
        self._check_chain(trail, digests, check)
        for file in self._vouched(trail, digests):
            check.files += 1
            problem = self._problem_of(file)
            if problem:
                check.problems.append(f"s3://{file.bucket}/{file.key}: {problem}")
        check.problems += [f"{place}: was put in, for no digest names it" for place in self._put_in(trail, digests)]
        return check

    def _digests(self, trail: Trail, check: TrailCheck) -> dict[str, _ReadDigest]:
        """The sound digests of a trail by key; what is wrong with others is told."""
        found = {}
        top, mark = f"{trail.top}/{self._account}/CloudTrail-Digest/", f"_{trail.name}_{trail.region}_"
        for record in list(self._buckets.under(trail.bucket, top)):
            if mark not in record.key.rpartition("/")[2]:
                continue  # another trail's
            place = f"s3://{trail.bucket}/{record.key}"
            try:
                text = unpacked(self._buckets.read_bytes(trail.bucket, record.key))
                document = json.loads(text)
                signature, sha256 = record.details.metadata.get("signature", ""), hashlib.sha256(text).hexdigest()
                key = self._keys.get(document["digestPublicKeyFingerprint"])
                is_signed = key is not None and verifies(key, signed_text(document, sha256), signature)
                named = document["digestS3Bucket"], document["digestS3Object"]
            except (ValueError, KeyError, TypeError) as error:
                check.problems.append(f"{place}: is no digest any more ({type(error).__name__})")
                continue
            if named != (trail.bucket, record.key):
                check.problems.append(f"{place}: was moved or exchanged; it is the digest s3://{'/'.join(named)}")
            elif not is_signed:
                check.problems.append(f"{place}: is not as it was signed")
            else:
                found[record.key] = _ReadDigest(document=document, sha256=sha256, signature=signature)
        check.digests = len(found)
        return found

    def _check_chain(self, trail: Trail, digests: Mapping[str, _ReadDigest], check: TrailCheck) -> None:
        pointed = [
            (digest.document["previousDigestS3Object"], digest.document["previousDigestHashValue"])
            for digest in digests.values()
            if digest.document["previousDigestS3Object"] and digest.document["previousDigestS3Bucket"] == trail.bucket
        ]
        progress = self._progress.get(trail.arn)
        last = [Digest(**found) for found in progress.digests.values()] if progress is not None else []
        pointed += [(digest.key, digest.sha256) for digest in last if digest.bucket == trail.bucket]
        told = {problem.partition(": ")[0] for problem in check.problems}
        for key, sha256 in dict.fromkeys(pointed):
            place = f"s3://{trail.bucket}/{key}"
            if place in told:
                continue
            if key not in digests:
                check.problems.append(f"{place}: the digest was removed")
            elif digests[key].sha256 != sha256:
                check.problems.append(f"{place}: the digest is not the one that the next one points to")

    def _vouched(self, trail: Trail, digests: Mapping[str, _ReadDigest]) -> Iterator[Delivered]:
        """The files that digests name, and those that only the record knows yet."""
        for digest in digests.values():
            for file in digest.document["logFiles"]:
                yield Delivered(
                    bucket=file["s3Bucket"], key=file["s3Object"], sha256=file["hashValue"], oldest="", newest=""
                )
        progress = self._progress.get(trail.arn)
        for files in (progress.files if progress is not None else {}).values():
            yield from (Delivered(**file) for file in files)

    def _problem_of(self, file: Delivered) -> str:
        try:
            text = unpacked(self._buckets.read_bytes(file.bucket, file.key))
        except Refusal:
            return "the log file was removed"
        except ValueError as error:
            return f"the log file was changed ({error})"
        return "" if hashlib.sha256(text).hexdigest() == file.sha256 else "the log file was changed or exchanged"

    def _put_in(self, trail: Trail, digests: Mapping[str, _ReadDigest]) -> list[str]:
        """Log files since the first digest that no trail with digests vouches for."""
        begin = min((str(digest.document["digestStartTime"]) for digest in digests.values()), default="")
        beside = [each for each in self._trails if (each.bucket, each.top) == (trail.bucket, trail.top)]
        if not begin or any(not each.is_validated for each in beside):
            return []  # a trail without digests may have delivered it
        known = set[str]()
        for each in beside:
            found = digests if each.arn == trail.arn else self._digests(each, TrailCheck(trail=each.arn))
            known |= {file.key for file in self._vouched(each, found)}
        top, since = f"{trail.top}/{self._account}/CloudTrail/", begin.replace("-", "").replace(":", "")[:13]
        found_keys = [record.key for record in self._buckets.under(trail.bucket, top)]
        return [f"s3://{trail.bucket}/{key}" for key in found_keys if key not in known and _moment_in(key) >= since]


def _moment_in(key: str) -> str:
    """The moment in a log file's name, `20261201T0102`; what has none was never a name of ours."""
    parts = key.rpartition("/")[2].split("_")
    return parts[3][:13] if len(parts) == 5 else "9"
