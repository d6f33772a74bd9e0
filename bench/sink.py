"""`python -m bench.sink --port P`: a server that takes what S3 clients upload, forgets it, and answers at once.

What a client needs for an upload to it is what it would need for one to the fastest server there could be: the floor.
It verifies nothing and stores nothing, and knows only what boto3's `upload_file` asks for.
"""

import argparse
import asyncio

PIECE = 1 << 20
_BEGUN = b"<InitiateMultipartUploadResult><UploadId>sink</UploadId></InitiateMultipartUploadResult>"
_COMPLETED = b'<CompleteMultipartUploadResult><ETag>"sink"</ETag></CompleteMultipartUploadResult>'


class Sink(asyncio.BufferedProtocol):
    """One connection. Every body lands in the same buffer, one piece over the other."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(PIECE))
        self._head = b""
        self._left = 0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._left:
            self._took(nbytes)
            return
        self._head += self._buffer[:nbytes]
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if end:
            self._head = b""
            self._begin(head, len(rest))

    def _begin(self, head: bytes, already: int) -> None:
        first, *lines = head.split(b"\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if b"100-continue" in headers.get(b"expect", b""):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._left = int(headers.get(b"content-length", b"0"))
        self._answer = _answer(first)
        self._took(already)

    def _took(self, size: int) -> None:
        self._left -= size
        if not self._left:
            self._transport.write(self._answer)


def _answer(first_line: bytes) -> bytes:
    method, target, _ = first_line.split(b" ", 2)
    body = b""
    if method == b"POST":
        body = _BEGUN if target.endswith(b"?uploads") else _COMPLETED
    return b'HTTP/1.1 200 OK\r\nETag: "sink"\r\nContent-Length: %d\r\n\r\n' % len(body) + body


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
