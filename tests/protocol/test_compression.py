"""Bodies that were compressed by the client are read as they were before; what is no gzip, or too much of it, is not."""

import gzip

import pytest

from outcrop.errors import Unreadable
from outcrop.protocol.compression import MOST_BYTES, plain
from outcrop.protocol.http import HttpRequest


def request(body: bytes, encoding: str | None = "gzip") -> HttpRequest:
    headers = {} if encoding is None else {"content-encoding": encoding}
    return HttpRequest(method="POST", raw_path="/", raw_query="", headers=headers, body=body)


@pytest.mark.parametrize("encoding", [None, "identity", "aws-chunked"])
def test_what_is_not_compressed_stays_as_it_is(encoding: str | None) -> None:
    assert plain(request(b"{}", encoding)) == b"{}"


def test_a_compressed_body_is_plain_again() -> None:
    assert plain(request(gzip.compress(b'{"a": 1}'))) == b'{"a": 1}'


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "The request body is not gzip, which its Content-Encoding says"),
        (gzip.compress(b"x" * 1000)[:-9], "The request body, no longer compressed, ends too early."),
        (
            gzip.compress(bytes(MOST_BYTES + 1)),
            "The request body, no longer compressed, has more than 6,291,456 bytes.",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(Unreadable) as refused:
        plain(request(body))
    assert refused.value.message.startswith(problem)
