"""Laws of listings: pages add up to the whole, whatever their size and whatever is added between two of them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.buckets.listing import Listing, ListingRequest, group_of, list_page
from outcrop.buckets.records import ObjectRecord
from outcrop.settings import Settings
from outcrop.store.listing import SortKey
from outcrop.store.resources import Resource
from outcrop.store.store import Store

NOW = datetime(2026, 5, 4, tzinfo=UTC)
# Few different characters, so that prefixes and groups meet; of one to four bytes, so that orders differ
CHARACTERS = "ab/-é\uffff𐀀 \t"
keys = st.text(alphabet=CHARACTERS, min_size=1, max_size=6)
some_keys = st.sets(keys, max_size=40)
delimiters = st.sampled_from(["", "/", "a/", "é"])
prefixes = st.text(alphabet=CHARACTERS, max_size=2)


def fetching(present: set[str]) -> Callable[[bytes, bytes | None, int], list[ObjectRecord]]:
    """A function that fetches over a set of keys as the database does."""

    def fetch(start: bytes, end: bytes | None, limit: int) -> list[ObjectRecord]:
        ordered = sorted(present, key=str.encode)
        found = [key for key in ordered if key.encode() >= start and (end is None or key.encode() < end)]
        return [ObjectRecord(bucket="b", key=key, digest="d", size=0, etag="e", modified=NOW) for key in found[:limit]]

    return fetch


def entries(page: Listing) -> list[str]:
    return sorted([item.key for item in page.objects] + page.prefixes, key=str.encode)


def expected(present: set[str], prefix: str, delimiter: str) -> list[str]:
    matching = [key for key in present if key.startswith(prefix)]
    return sorted({group_of(key, prefix, delimiter) or key for key in matching}, key=str.encode)


@given(present=some_keys, prefix=prefixes, delimiter=delimiters, size=st.integers(1, 7))
def test_pages_of_any_size_add_up_to_the_sorted_keys(present: set[str], prefix: str, delimiter: str, size: int) -> None:
    seen: list[str] = []
    start: bytes | None = b""
    while start is not None:
        page = list_page(
            fetching(present), ListingRequest(prefix=prefix, delimiter=delimiter, start=start, max_keys=size)
        )
        assert page.count <= size
        assert page.next_start is None or page.count == size
        seen += entries(page)
        start = page.next_start

    assert seen == expected(present, prefix, delimiter)


@given(present=some_keys, added=some_keys, delimiter=delimiters, size=st.integers(1, 7))
def test_a_token_stands_when_keys_are_added(present: set[str], added: set[str], delimiter: str, size: int) -> None:
    first = list_page(fetching(present), ListingRequest(delimiter=delimiter, max_keys=size))
    if first.next_start is None:
        return
    later = list_page(fetching(present | added), ListingRequest(delimiter=delimiter, start=first.next_start))

    missing = set(expected(present, "", delimiter)) - set(entries(first)) - set(entries(later))
    assert missing == set()
    assert set(entries(first)) & set(entries(later)) == set()


@settings(max_examples=15)
@given(
    minutes=st.lists(st.integers(0, 3), max_size=12),
    size=st.integers(1, 5),
    descending=st.booleans(),
    sort_by=st.sampled_from(["created", "name", "status", "updated"]),
)
def test_pages_of_resources_add_up_also_where_many_have_the_same_key(
    minutes: list[int], size: int, descending: bool, sort_by: SortKey
) -> None:
    with TemporaryDirectory() as home:
        store = Store.open(Settings(home=Path(home)))
        for number, minute in enumerate(minutes):
            at = NOW.replace(minute=minute)
            status = str(minute % 2)
            store.resources.add(
                Resource(arn=f"a{number:02}", kind="k", region="r", status=status, created=at, updated=at)
            )

        def listed(page_size: int) -> list[str]:
            seen: list[str] = []
            token = None
            while True:
                page = store.resources.list(
                    "k",
                    "r",
                    sort_by=sort_by,
                    descending=descending,
                    max_results=page_size,
                    token=token,
                )
                seen += [item.arn for item in page.items]
                token = page.next_token
                if token is None:
                    return seen

        whole, pages = listed(100), listed(size)
        store.close()

    assert pages == whole
    assert sorted(pages) == [f"a{number:02}" for number in range(len(minutes))]
