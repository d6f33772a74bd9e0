"""Path templates of the service models, such as `/{Bucket}/{Key+}?uploads`, and what of a request they match."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from outcrop.protocol.http import HttpRequest
from outcrop.protocol.shapes import OperationModel

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_ID = "[^/]+"
# Clients outside of boto send ARNs as they are, `/model/arn:aws:bedrock:...:custom-model-deployment/ab12/invoke`. Their
# slashes are told from separators by the literal after them, so a label that begins like an ARN may hold slashes.
_ID_OR_ARN = "(?:[^/]+|arn:.+)"
_LITERAL, _VARIABLE, _GREEDY = range(3)


@dataclass(frozen=True, kw_only=True)
class Template:
    operation: str
    method: str
    exact: re.Pattern[str]
    with_arns: re.Pattern[str] | None
    "The same, labels being allowed to be ARNs with slashes; None where no label is."
    labels: tuple[str, ...]
    literal_keys: tuple[tuple[str, str], ...]
    "Query keys (and values) that belong to the path: `list-type=2`."
    required_keys: frozenset[str]
    "Query keys of required members: `uploadId` tells ListParts from GetObject."
    required_headers: frozenset[str]
    first_literal: str
    "What a path of it begins with, before its second slash; empty where that is a label."
    rank: tuple[object, ...]
    "Sorts the more specific template first."

    def match(self, request: HttpRequest) -> dict[str, str] | None:
        """The labels of the path, still encoded, or None."""
        if (self.literal_keys or self.required_keys) and not request.raw_query:
            return None
        found = self.exact.fullmatch(request.raw_path)
        if found is None and self.with_arns is not None and "/arn:" in request.raw_path:
            found = self.with_arns.fullmatch(request.raw_path)
        if found is None or not self._keys_fit(request):
            return None
        return dict(zip(self.labels, found.groups(), strict=True))

    def _keys_fit(self, request: HttpRequest) -> bool:
        if not (self.literal_keys or self.required_keys or self.required_headers):
            return True
        present = {unquote(key): unquote(value) for key, value in query_pairs(request.raw_query)}
        return (
            all(key in present and value in ("", present[key]) for key, value in self.literal_keys)
            and self.required_keys <= present.keys()
            and self.required_headers <= request.headers.keys()
        )


def template(operation: OperationModel, *, lenient_slash: bool) -> Template:
    """The operation's template. `lenient_slash`: `/bucket/` is the bucket too (S3), not an object without a name."""
    path, _, query = operation.http["requestUri"].partition("?")
    literal_keys = tuple(query_pairs(query))
    required = _required(operation)
    discriminating = frozenset() if literal_keys else required["header"]
    has_key = "+}" in path
    end = "/?" if lenient_slash and not has_key and path != "/" else ""
    has_ids = "{" in path and not has_key
    return Template(
        operation=operation.name,
        method=operation.http["method"],
        exact=re.compile(_pattern(path, _ID) + end, re.DOTALL),
        with_arns=re.compile(_pattern(path, _ID_OR_ARN) + end) if has_ids else None,
        labels=tuple(name for name, _ in _LABEL.findall(path)),
        literal_keys=literal_keys,
        # A key that the path itself demands tells enough; only S3 needs the members' keys to tell operations apart.
        required_keys=required["querystring"] if lenient_slash else frozenset(),
        required_headers=discriminating if lenient_slash else frozenset(),
        first_literal="" if "{" in (first := path[1:].partition("/")[0]) else first,
        rank=(
            # The longer first: an ARN with slashes must not swallow a literal behind it.
            -path.count("/"),
            tuple(_kinds(path)),
            -len(literal_keys),
            -len(required["querystring"]) - len(discriminating),
            operation.name,
        ),
    )


def query_pairs(raw_query: str) -> Iterator[tuple[str, str]]:
    """Keys and values as they were sent, still encoded."""
    for part in raw_query.split("&"):
        if part:
            key, _, value = part.partition("=")
            yield key, value


def _pattern(path: str, label: str) -> str:
    pattern, position = "", 0
    for found in _LABEL.finditer(path):
        pattern += re.escape(path[position : found.start()])
        pattern += "(.+)" if found[2] else f"({label})"
        position = found.end()
    return pattern + re.escape(path[position:])


def _kinds(path: str) -> Iterator[int]:
    for segment in path.split("/")[1:]:
        yield _GREEDY if "+}" in segment else _VARIABLE if "{" in segment else _LITERAL


def _required(operation: OperationModel) -> dict[str, frozenset[str]]:
    """Wire names of the required members in the query and in the headers."""
    places: dict[str, set[str]] = {"querystring": set(), "header": set()}
    shape = operation.input_shape
    required = [shape.members[name] for name in shape.required_members] if shape is not None else []
    for place in (member.serialization for member in required):
        if place.get("location") in places:
            wire_name = place["name"]
            places[place["location"]].add(wire_name.lower() if place["location"] == "header" else wire_name)
    return {place: frozenset(names) for place, names in places.items()}
