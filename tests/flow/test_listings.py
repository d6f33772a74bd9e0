"""Every list operation, over the wire: filters, orders, pages that stand while rows come and go, tokens that fit.

What is listed here is the table of handlers: an operation that lists and has no entry in `tests/support/listings` fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from outcrop.api.iam.absent import ALWAYS_ABSENT
from outcrop.api.operations import OPERATIONS
from tests.support.listings import (
    agent_runtime,
    bedrock,
    cloudtrail,
    cloudwatch,
    iam,
    iam_absent,
    kms,
    knowledge,
    logs,
    pipelines,
    s3,
    sagemaker,
    sagemaker_hosting,
    scaling,
    tuning,
    vectors,
)
from tests.support.listings.listing import Listing
from tests.support.servers import Running, running_server
from tests.support.shaped_values import operation_of_botocore

LISTINGS = [
    *bedrock.LISTINGS, *iam.LISTINGS, *iam_absent.LISTINGS, *logs.LISTINGS, *cloudwatch.LISTINGS, *s3.LISTINGS,
    *sagemaker.LISTINGS, *sagemaker_hosting.LISTINGS, *scaling.LISTINGS, *tuning.LISTINGS, *pipelines.LISTINGS,
    *vectors.LISTINGS, *knowledge.LISTINGS, *kms.LISTINGS, *agent_runtime.LISTINGS, *cloudtrail.LISTINGS,
]  # fmt: skip
NEVER_LISTING = {f"iam.{operation}" for operation in ALWAYS_ABSENT} | {
    "bedrock-agent-runtime.Rerank",
    "bedrock-agent-runtime.Retrieve",
    "logs.GetLogEvents",
    "kms.DescribeKey",
    "sagemaker.DescribeEndpoint",
    "sagemaker.DescribeEndpointConfig",
    "sagemaker.DescribeHyperParameterTuningJob",
    "sagemaker.DescribeInferenceComponent",
    "sagemaker.DescribeModel",
    "sagemaker.DescribeHub",
    "sagemaker.DescribePipeline",
    "sagemaker.DescribePipelineDefinitionForExecution",
    "sagemaker.DescribePipelineExecution",
    "sagemaker.DescribeHubContent",
    "sagemaker.DescribeTrainingJob",
    "sagemaker.DescribeTransformJob",
}
"""They would list something about a thing that nobody can make here (tests/iam/test_absent.py asks each), or give
pages of an order that one request asks for (tests/unit/api/test_encoders.py, tests/flow/test_knowledge_answers.py), or give tokens for ever
(tests/flow/test_logs.py), or describe one thing in spite of their name."""
LISTING_VERBS = ("List", "Describe", "Search", "Lookup", "Filter")
TOKENS = {"nexttoken", "marker", "continuationtoken", "keymarker", "partnumbermarker"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("listings") / "home") as running:
        yield running


@dataclass(frozen=True)
class Rows:
    """A listing and its own rows, by name; others may stand beside them."""

    listing: Listing
    house: Running
    numbers: dict[str, int]

    def add(self, number: int) -> str:
        assert self.listing.add is not None
        name = self.listing.add(self.house, number)
        self.numbers[name] = number
        return name

    def remove(self, name: str) -> int:
        assert self.listing.remove is not None
        self.listing.remove(self.house, name)
        return self.numbers.pop(name)

    def ask(self, **members: Any) -> dict[str, Any]:
        return self.listing.ask(self.house, **members)

    def names(self, **members: Any) -> list[str]:
        return self.listing.names(self.ask(**members))

    def in_order(self, names: list[str]) -> list[str]:
        """The names as they come where the listing is ordered, else sorted."""
        return names if self.listing.is_ordered else sorted(names)

    def refusal(self, **members: Any) -> dict[str, str]:
        with pytest.raises(ClientError) as refused:
            self.ask(**members)
        error: dict[str, str] = refused.value.response["Error"]
        return error


@pytest.fixture(scope="module", params=LISTINGS, ids=lambda listing: listing.title)
def rows(request: pytest.FixtureRequest, house: Running) -> Iterator[Rows]:
    listing: Listing = request.param
    if listing.prepare is not None:
        listing.prepare(house)
    made = Rows(listing, house, {})
    for number in range(listing.most if listing.add else 0):
        made.add(number)
    yield made
    for name in [*made.numbers] if listing.remove else []:
        made.remove(name)


def built_listings() -> set[str]:
    """Built operations that list, by their name, by a token among their members, or by botocore's paginators."""
    found = set()
    for service, table in OPERATIONS.items():
        paged = Loader().load_service_model(service, "paginators-1")["pagination"]
        for name in table:
            shape = operation_of_botocore(service, name).input_shape
            members = {member.lower() for member in shape.members} if shape is not None else set()
            if name.startswith(LISTING_VERBS) or name in paged or members & TOKENS:
                found.add(f"{service}.{name}")
    return found


def test_every_operation_that_lists_is_in_the_table() -> None:
    assert {listing.title for listing in LISTINGS} == built_listings() - NEVER_LISTING


def test_a_listing_without_rows_is_empty(rows: Rows) -> None:
    assert rows.listing.most > 0 or rows.names() == []


def test_every_member_of_the_input_is_spoken_of(rows: Rows) -> None:
    shape = rows.listing.model.input_shape
    assert (set(shape.members) if shape else set()) - rows.listing.members(rows.house) == set()


def test_each_filter_keeps_what_it_names(rows: Rows) -> None:
    listing, whole = rows.listing, rows.listing.rows(rows.ask())
    for member, (value, keeps) in listing.filters.items():
        kept = [listing.name_of(row) for row in whole if keeps(row)]
        assert len(kept) < len(whole), f"{member} must leave something out"
        assert rows.names(**{member: value}) == kept, member


def test_newest_first_unless_asked_for_the_oldest(rows: Rows) -> None:
    key = rows.listing.sorted_by
    if key is None:
        return
    ordered = sorted(rows.listing.rows(rows.ask()), key=lambda row: row[key], reverse=True)
    newest = [rows.listing.name_of(row) for row in ordered]
    assert rows.names() == rows.names(sortBy="CreationTime", sortOrder="Descending") == newest
    assert rows.names(sortOrder="Ascending") == newest[::-1]


def test_pages_neither_repeat_nor_lose_a_row_when_rows_come_and_go(rows: Rows) -> None:
    listing = rows.listing
    whole = rows.names()
    size = {listing.size: 2 if listing.most > 2 else 1} if listing.size else {}
    answer = rows.ask(**size)
    seen, gone, come = listing.names(answer), -1, ""
    while further := listing.next_of(answer):
        mine = [name for name in listing.names(answer) if name in rows.numbers]
        if mine and not come and listing.remove is not None:
            gone, come = rows.remove(mine[-1]), rows.add(9)
        answer = rows.ask(**size, **further)
        assert 1 <= len(listing.names(answer)) <= max(size.values())
        seen += listing.names(answer)

    assert rows.in_order([name for name in seen if name != come]) == rows.in_order(whole)
    assert seen.count(come) <= 1
    if come:
        rows.remove(come)
        rows.add(gone)


def test_a_token_that_does_not_fit_is_refused(rows: Rows) -> None:
    listing = rows.listing
    for member in listing.tokens if listing.is_opaque else ():
        for broken in ("never-given", "!!!", "AAAA", "W10="):
            assert rows.refusal(**{member: broken})["Code"] == (listing.token_refusal or listing.refusal), broken
        given = listing.next_of(rows.ask(**{listing.size: 1})) if listing.size else {}
        for junk in ("A", "AAAA", "!") if given else ():
            assert rows.refusal(**{member: given[member] + junk})["Code"] == (
                listing.token_refusal or listing.refusal
            ), junk


def test_a_token_is_good_for_its_own_query_only(rows: Rows) -> None:
    """Not with another filter. The size of a page may change."""
    listing = rows.listing
    if not listing.is_opaque or listing.size is None:
        return
    answer = rows.ask(**{listing.size: 1})
    token = listing.next_of(answer)
    assert bool(token) == (listing.most > 1)
    if not token:
        return
    together = listing.names(answer) + rows.names(**token, **{listing.size: listing.largest})
    assert rows.in_order(together) == rows.in_order(rows.names())
    for member in listing.filters.keys() - listing.only_first:
        refused = rows.refusal(**token, **{member: listing.filters[member][0]})
        assert refused["Code"] == (listing.token_refusal or listing.refusal), member
        assert "not a token of this query" in refused["Message"] or listing.service == "s3"


def test_a_token_is_good_for_the_thing_it_was_asked_about_only(house: Running) -> None:
    client = house.client("iam")
    for user in ("one", "another"):
        client.create_user(UserName=user, Tags=[{"Key": key, "Value": ""} for key in "abc"])
    marker = client.list_user_tags(UserName="one", MaxItems=1)["Marker"]
    with pytest.raises(ClientError, match="Marker: not a token of this query"):
        client.list_user_tags(UserName="another", Marker=marker)


def test_a_token_is_good_in_its_region_only(house: Running) -> None:
    add = bedrock.adding("custom-model", ["Active"], bedrock.custom_model)
    for number in (20, 21):
        add(house, number)
    token = house.client("bedrock").list_custom_models(maxResults=1)["nextToken"]
    with pytest.raises(ClientError, match="nextToken: not a token of this query"):
        house.client("bedrock", region_name="eu-west-1").list_custom_models(maxResults=1, nextToken=token)


def test_a_page_of_no_size_or_of_more_than_there_may_be_is_refused(rows: Rows) -> None:
    size = rows.listing.size
    if size is None:
        return
    for number in rows.listing.wrong_sizes:
        refused = rows.refusal(**{size: number})
        assert refused["Code"] == rows.listing.refusal, number
        assert size.lower() in refused["Message"].lower()


def test_what_is_not_built_is_refused_by_its_name(rows: Rows) -> None:
    for member, value in rows.listing.refused.items():
        assert member.lower() in rows.refusal(**{member: value})["Message"].lower().replace(" ", "")
