"""Forms with a file, read as they arrive: every split of the bytes reads the same, and what is no form is told."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.protocol.form_data import MAX_FIELDS_BYTES, FieldsTooLarge, MalformedForm, UploadForm, read_form

TYPE = "multipart/form-data; boundary=line"


def form_of(
    fields: dict[str, str], file: bytes | None = None, *, filename: str = "a.txt", boundary: str = "line"
) -> bytes:
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    if file is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'
        parts.append(head.encode() + file)
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def read(body: bytes, *, size: int = 7, content_type: str = TYPE) -> tuple[UploadForm, bytes]:
    async def all_of_it() -> tuple[UploadForm, bytes]:
        form = await read_form(content_type, pieces(body, size))
        return form, b"".join([piece async for piece in form.file]) if form.file is not None else b""

    return asyncio.run(all_of_it())


@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    file=st.binary(max_size=200),
    size=st.integers(1, 50),
)
def test_fields_and_file_are_those_that_were_sent_however_they_arrive(value: str, file: bytes, size: int) -> None:
    mark = b"\r\n--line"
    if mark in file or mark in b"\r\n" + value.encode():
        return  # no client would choose this boundary then
    form, found = read(form_of({"key": value}, file), size=size)
    assert (form.fields, found) == ({"key": value}, file)


def test_what_looks_like_a_boundary_is_none_without_its_line() -> None:
    file = b"--line\r\n--lin\r\n-line--\n--line--"
    assert read(form_of({}, file), size=1)[1] == file


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("a.txt", "a.txt"),
        ("日本.txt", "日本.txt"),
        (r"C:\\dir\\a.txt", "a.txt"),
        ("../../a", "a"),
        ('a\\"b', 'a"b'),
        ("a%22b", 'a"b'),
    ],
)
def test_the_name_of_a_file_is_its_last_part(filename: str, expected: str) -> None:
    assert read(form_of({}, b"x", filename=filename))[0].filename == expected


def test_names_of_fields_are_told_apart_without_case_and_the_first_counts() -> None:
    form, _ = read(form_of({"Key": "a", "key": "b", "KEY": "c"}, b""))
    assert form.fields == {"key": "a"}


def test_a_quoted_boundary_and_a_preamble_are_read() -> None:
    body = b"for readers of old\r\n" + form_of({"key": "a"}, b"x", boundary="a b")
    form, file = read(body, content_type='multipart/form-data; charset=utf-8; boundary="a b"')
    assert (form.fields, file) == ({"key": "a"}, b"x")


def test_a_form_without_a_file_has_none() -> None:
    form, _ = read(form_of({"key": "a"}))
    assert (form.fields, form.file) == ({"key": "a"}, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body ends before the last boundary."),
        (b"--other--\r\n", "The body ends before the last boundary."),
        (form_of({"key": "a"}, b"whole")[:-12], "The body ends before the last boundary."),
        (b"--line\r\nX: y\r\n\r\nvalue\r\n--line--", "A part has no Content-Disposition with a name."),
        (b"--line\r\n\r\nvalue\r\n--line--", "A part has no Content-Disposition with a name."),
        (b"--linear\r\n\r\n", "Behind a boundary stands something else than a line's end."),
        (form_of({"key": "a"}).replace(b"a\r", b"\xff\r"), "What stands before the file is no UTF-8."),
    ],
)
def test_what_is_no_form_is_told(body: bytes, message: str) -> None:
    with pytest.raises(MalformedForm) as refused:
        read(body)
    assert refused.value.message == message


def test_a_content_type_without_boundary_is_told() -> None:
    with pytest.raises(MalformedForm, match="a boundary is missing"):
        read(b"", content_type="multipart/form-data")


def test_fields_that_never_end_are_given_up() -> None:
    with pytest.raises(FieldsTooLarge):
        read(b"--line\r\n" + b"x" * (MAX_FIELDS_BYTES + 1), size=4096)
    with pytest.raises(FieldsTooLarge):
        read(form_of({f"x-{n}": "y" * 1000 for n in range(40)}, b""), size=4096)


def test_the_file_is_never_held_whole() -> None:
    """Each piece is handed on before the next is asked for."""
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        yield form_of({}, b"")[: -len(b"\r\n--line--\r\n")]
        while True:
            asked += 1
            yield b"x" * 1000

    async def first_two() -> list[int]:
        form = await read_form(TYPE, endless())
        assert form.file is not None
        return [len(await anext(form.file)) + 0 * asked for _ in range(2)] + [asked]

    first, second, pieces_asked = asyncio.run(first_two())
    assert first + second >= 1900
    assert pieces_asked <= 3
