"""A list operation as its test sees it: how rows come and go, what it may be asked, and how its pages hang together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jmespath
from botocore.model import OperationModel

from tests.support.servers import Running
from tests.support.shaped_values import operation_of_botocore

Row = Any
"What the answer holds for one row: a structure, a name."
Kept = Callable[[Row], bool]


_clients: dict[tuple[str, str], Any] = {}


def client_of(house: Running, service: str) -> Any:
    """A client that leaves all refusals to the server; made once, for that takes longer than ten requests."""
    place = (house.endpoint, service)
    if place not in _clients:
        _clients[place] = house.client(service, config={"parameter_validation": False})
    return _clients[place]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One operation that lists. Every member of its input stands in one of the fields below."""

    service: str
    operation: str
    rows: Callable[[dict[str, Any]], list[Row]]
    "The rows of an answer."
    name_of: Callable[[Row], str]
    prepare: Callable[[Running], None] | None = None
    "What must be there before the first row."
    add: Callable[[Running, int], str] | None = None
    "Makes a row, different by its number, and returns its name. None: the rows follow from the request alone."
    remove: Callable[[Running, str], None] | None = None
    most: int = 5
    "How many rows there may be; 0 for a listing of what nobody can make here."
    asked: Callable[[Running], dict[str, Any]] = lambda _: {}
    "Members of every request."
    filters: dict[str, tuple[Any, Kept]] = field(default_factory=dict)
    "Member -> a value, and which of the rows it keeps."
    only_first: frozenset[str] = frozenset()
    "Filters of the first page, whose work a token then does."
    is_ordered: bool = True
    "Whether an answer shows its rows in the order of the pages, and not by kinds."
    sorted_by: str | None = None
    "Member of a row that sortBy and sortOrder order by."
    refused: dict[str, Any] = field(default_factory=dict)
    "Members that are refused by their name, with a value."
    not_filters: frozenset[str] = frozenset()
    "Members that do not choose rows."
    size: str | None = None
    "The member for the most rows of a page, None where all come at once."
    tokens: dict[str, str] = field(default_factory=dict)
    "Member of the request -> where in the answer before it is taken from."
    is_opaque: bool = True
    "Whether the token means nothing to clients; S3's older listings go on from a key that they may name themselves."
    largest: int = 1000
    "A size of a page that holds all rows."
    wrong_sizes: tuple[int, ...] = (0, 1001)
    "Sizes of a page that are refused."
    refusal: str = "ValidationException"
    "The code that a wrong token or size is refused with."
    token_refusal: str = ""
    "That of a wrong token, where it is another."

    @property
    def title(self) -> str:
        return f"{self.service}.{self.operation}"

    @property
    def model(self) -> OperationModel:
        return operation_of_botocore(self.service, self.operation)

    def members(self, house: Running) -> set[str]:
        """The members of the input that this entry speaks of."""
        sort = {"sortBy", "sortOrder"} if self.sorted_by else set()
        size = {self.size} if self.size else set()
        return {*self.asked(house), *self.filters, *self.refused, *self.not_filters, *self.tokens, *size, *sort}

    def ask(self, house: Running, **members: Any) -> dict[str, Any]:
        """One answer, as boto3 reads it."""
        client = client_of(house, self.service)
        method = client.meta.method_to_api_mapping
        name = next(python for python, operation in method.items() if operation == self.operation)
        answer: dict[str, Any] = getattr(client, name)(**(self.asked(house) | members))
        return answer

    def next_of(self, answer: dict[str, Any]) -> dict[str, Any]:
        """What asks for the page after this one; empty at the end."""
        if False in jmespath.search("[ObjectParts.IsTruncated, IsTruncated]", answer):
            return {}
        found = {member: jmespath.search(source, answer) for member, source in self.tokens.items()}
        return {member: token for member, token in found.items() if token is not None}

    def names(self, answer: dict[str, Any]) -> list[str]:
        return [self.name_of(row) for row in self.rows(answer)]
