"""The MD5, checksum or both that an S3 request states of its own body, a document. Checked once, here.

A body that is an object's bytes is checked while it is received instead.
"""

import hashlib
from collections.abc import Mapping

from outcrop.buckets import checksums
from outcrop.protocol.shapes import OperationModel

_FAMILY = "x-amz-checksum-"
_ABOUT_CHECKSUMS = ("x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type")


def check(operation: OperationModel, headers: Mapping[str, str], trailers: Mapping[str, str], body: bytes) -> None:
    """Raises BadDigest, InvalidDigest, or InvalidRequest for a checksum that is not built."""
    md5 = headers.get("content-md5")
    if md5 is not None:
        checksums.check_md5(md5, hashlib.md5(body, usedforsecurity=False).digest())
    shape = operation.input_shape
    # Elsewhere, as in CompleteMultipartUpload, a checksum is that of the object.
    if shape is None or "x-amz-sdk-checksum-algorithm" not in shape.places.headers:
        return
    for name, value in {**headers, **trailers}.items():
        if name.startswith(_FAMILY) and name not in _ABOUT_CHECKSUMS:
            algorithm = checksums.parse_algorithm(name.removeprefix(_FAMILY))
            checksums.check_value(checksums.of_blocks(algorithm, [body]), value)
