"""Metadata of documents, as files and requests write it."""

import json
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.knowledge.metadata_files import inline_attributes, read_metadata

NAME = "a.txt.metadata.json"


def read(attributes: Any) -> Any:
    return read_metadata(json.dumps({"metadataAttributes": attributes}).encode(), name=NAME)


def test_plain_and_typed_values_are_read() -> None:
    typed = {"value": {"type": "STRING", "stringValue": "SEC"}, "includeForEmbedding": True}
    found = read({"year": 2024, "share": 0.5, "draft": False, "topics": ["a", "b"], "rule": "10b-5", "issuer": typed})
    assert found.metadata == {
        "year": 2024, "share": 0.5, "draft": False, "topics": ("a", "b"), "rule": "10b-5", "issuer": "SEC",
    }  # fmt: skip
    assert found.embedded_text == "issuer: SEC\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", 'no JSON. Write {"metadataAttributes": {…}}.'),
        (b"[" * 100_000, "100,000 bytes of metadata; at most 10,240 (10 KB) are read. Shorten it."),
        (b"[" * 10_000, 'no JSON. Write {"metadataAttributes": {…}}.'),
        (b"[]", 'metadataAttributes is missing, or no object. Write {"metadataAttributes": {…}}.'),
        (
            b'{"metadataAttributes": []}',
            'metadataAttributes is missing, or no object. Write {"metadataAttributes": {…}}.',
        ),
        (b"\xff", 'no JSON. Write {"metadataAttributes": {…}}.'),
    ],
)
def test_a_file_that_is_none_is_told(content: bytes, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_metadata(content, name=NAME)
    assert refused.value.message == f"{NAME}: {problem}"


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"a": None}, "a: expected a string, a number, true or false, or a list of strings."),
        ({"a": []}, "a: expected a string, a number, true or false, or a list of strings."),
        ({"a": ["b", 1]}, "a: expected a string, a number, true or false, or a list of strings."),
        ({"a": float("nan")}, "a: expected a string, a number, true or false, or a list of strings."),
        ({"a": {}}, "a: expected an object with value, and includeForEmbedding true or false."),
        (
            {"a": {"value": {"type": "STRING"}}},
            "a: expected a type of STRING, NUMBER, BOOLEAN, STRING_LIST, and the member that holds its value.",
        ),
        (
            {"a": {"value": {"type": "STRING", "stringValue": 1}}},
            "a: stringValue holds a NUMBER, and type says STRING. Let them agree.",
        ),
        (
            {"x-amz-bedrock-kb-source-uri": "s3://others/secret"},
            "'x-amz-bedrock-kb-source-uri': an empty key, or one of Bedrock's own (x-amz-bedrock-kb-…). Choose another.",
        ),
        ({" ": 1}, "' ': an empty key, or one of Bedrock's own (x-amz-bedrock-kb-…). Choose another."),
        ({str(n): n for n in range(51)}, "51 attributes; at most 50 are kept. Take some out."),
    ],
)
def test_an_attribute_that_is_none_is_named(attributes: Any, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(attributes)
    assert refused.value.message == f"{NAME}: {problem}"


def test_attributes_of_a_request_are_read_and_a_key_that_comes_twice_is_refused() -> None:
    year = {"key": "year", "value": {"type": "NUMBER", "numberValue": 2024.0}}
    assert inline_attributes([year]).metadata == {"year": 2024.0}
    with pytest.raises(Invalid, match="the key 'year' is given twice"):
        inline_attributes([year, year])
