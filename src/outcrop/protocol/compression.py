"""Bodies that clients compress by themselves: CloudWatch's, from 10 KB on, with gzip.

The signature is of the bytes as they were sent. S3 stores what it is sent, compressed or not, and never asks here.
"""

import zlib

from outcrop.errors import Unreadable
from outcrop.protocol.http import HttpRequest

MOST_BYTES = 6 * 1024 * 1024
"Of a body once it is plain: a few bytes may stand for gigabytes."
_GZIP = 16 + zlib.MAX_WBITS


def plain(request: HttpRequest) -> bytes:
    """The body as it was before it was compressed. Raises Unreadable."""
    body = request.body or b""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding != "gzip" or not body:
        return body
    reader = zlib.decompressobj(_GZIP)
    try:
        content = reader.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise Unreadable(f"The request body is not gzip, which its Content-Encoding says: {error}") from error
    if not reader.eof:
        problem = f"has more than {MOST_BYTES:,} bytes" if reader.unconsumed_tail else "ends too early"
        raise Unreadable(f"The request body, no longer compressed, {problem}.")
    return content
