"""multipart/form-data as it arrives: the fields before a file, then the file's bytes as a stream (RFC 7578).

Nothing is held but the fields and the pieces in flight. What comes after the file is read by whoever asks for it.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from outcrop.errors import Refusal

MAX_FIELDS_BYTES = 20 * 1024
"""What S3 takes before the file.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""
_BOUNDARY = re.compile(r"""boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)
_PARAMETER = re.compile(r';\s*(name|filename)="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)|%22")


class MalformedForm(Refusal):
    """The body is no multipart/form-data, or ends before its end."""


class FieldsTooLarge(Refusal):
    """More than MAX_FIELDS_BYTES stand before the file."""


@dataclass(kw_only=True)
class UploadForm:
    fields: dict[str, str] = field(default_factory=dict)
    "By name in lower case; of one that stands twice, the first."
    filename: str = ""
    file: AsyncIterator[bytes] | None = None
    "None where the form has no field called `file`. To be read once; raises MalformedForm when it has no end."
    rest: Callable[[], Awaitable[None]] | None = None
    "Reads the fields behind the file into `fields`, once the file was read. Raises as `read_form` does."


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


async def read_form(content_type: str, body: AsyncIterator[bytes], *, file_field: str = "file") -> UploadForm:
    """The fields up to the file, which is not read yet. Raises MalformedForm or FieldsTooLarge."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise MalformedForm("Content-Type: a boundary is missing.")
    # A delimiter is a line of its own: the first needs the line break that the body does not begin with.
    bytes_ahead = _Bytes(body, b"\r\n")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("utf-8", "surrogateescape")
    await bytes_ahead.until(delimiter)
    form = UploadForm()

    async def fields_to_file() -> None:
        while not await bytes_ahead.ends():
            name, filename = _disposition(await bytes_ahead.until(b"\r\n\r\n"))
            if name == file_field:
                if form.file is not None:
                    raise MalformedForm(f"The form has more than one field called {file_field}.")
                # Browsers of old sent the whole path.
                form.filename = re.split(r"[/\\]", filename)[-1]
                form.file = bytes_ahead.pieces_until(delimiter)
                return
            form.fields.setdefault(name, _text(await bytes_ahead.until(delimiter)))

    await fields_to_file()
    form.rest = fields_to_file
    return form


def _disposition(head: bytes) -> tuple[str, str]:
    """Name, in lower case, and file name of a part."""
    for line in _text(head).split("\r\n"):
        if line.lower().startswith("content-disposition:"):
            told = {kind.lower(): _plain(value) for kind, value in _PARAMETER.findall(line)}
            if "name" in told:
                return told["name"].lower(), told.get("filename", "")
    raise MalformedForm("A part has no Content-Disposition with a name.")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MalformedForm("What stands before the file is no UTF-8.") from error


def _plain(quoted: str) -> str:
    return _ESCAPED.sub(lambda found: found[1] or '"', quoted)


class _Bytes:
    """A stream, looked at as far ahead as a mark reaches."""

    def __init__(self, body: AsyncIterator[bytes], begun: bytes) -> None:
        self._body = body
        self._ahead = bytearray(begun)
        self._taken = 0

    async def ends(self) -> bool:
        """Behind a delimiter: whether it was the last; else its line has been passed."""
        while len(self._ahead) < 2:
            await self._more()
        if self._ahead.startswith(b"--"):
            return True
        if (await self.until(b"\r\n")).strip(b" \t"):
            raise MalformedForm("Behind a boundary stands something else than a line's end.")
        # The break that ends the delimiter's line may begin the empty line of a part without headers.
        self._ahead[:0] = b"\r\n"
        return False

    async def until(self, mark: bytes) -> bytes:
        """The bytes before the mark; both have been passed then."""
        searched = 0
        while (place := self._ahead.find(mark, searched)) < 0:
            searched = max(0, len(self._ahead) - len(mark) + 1)
            if self._taken + len(self._ahead) > MAX_FIELDS_BYTES:
                raise FieldsTooLarge(f"More than {MAX_FIELDS_BYTES} bytes stand before the file.")
            await self._more()
        self._taken += place + len(mark)
        if self._taken > MAX_FIELDS_BYTES:
            raise FieldsTooLarge(f"More than {MAX_FIELDS_BYTES} bytes stand before the file.")
        before = bytes(self._ahead[:place])
        del self._ahead[: place + len(mark)]
        return before

    async def pieces_until(self, mark: bytes) -> AsyncIterator[bytes]:
        """The bytes before the mark as a stream, of any length; both have been passed then."""
        while (place := self._ahead.find(mark)) < 0:
            # The mark may have begun in the last bytes.
            sure = len(self._ahead) - len(mark) + 1
            if sure > 0:
                yield bytes(self._ahead[:sure])
                del self._ahead[:sure]
            await self._more()
        yield bytes(self._ahead[:place])
        del self._ahead[: place + len(mark)]

    async def _more(self) -> None:
        piece = await anext(self._body, None)
        if piece is None:
            raise MalformedForm("The body ends before the last boundary.")
        self._ahead += piece
