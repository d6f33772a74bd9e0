"""Each listing goes along an index, from where its page begins: what SQLite says it will do for it."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sql
from sqlalchemy.dialects import sqlite

from outcrop.settings import Settings
from outcrop.store.database import reading
from outcrop.store.listing import Filters, ResourceListing, SortKey
from outcrop.store.store import Store

KIND, REGION = "custom-model", "us-east-1"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
KEYS: dict[SortKey, object] = {"created": 1_700_000_000_000_000, "updated": 1_700_000_000_000_000, "name": "n", "status": "s"}  # fmt: skip
INDEX: dict[SortKey, str] = {
    "created": "resources_by_created (kind=? AND region=?",
    "updated": "resources_by_updated (kind=? AND region=?",
    "name": "resources_by_name (kind=? AND region=?",
    "status": "resources_by_status (kind=? AND region=?",
}
FILTERS = {
    "everything": Filters(),
    "part of a name": Filters(name_contains="x"),
    "times": Filters(created_after=NOON, created_before=NOON, updated_after=NOON, updated_before=NOON),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path_factory.mktemp("home")))
    opened.references.index(KIND, "baseModelArn")
    yield opened
    opened.close()


def plan(store: Store, listing: ResourceListing, *, continued: bool) -> list[str]:
    token = listing.token(key=KEYS[listing.sort_by], arn="a") if continued else None
    return explained(store, listing.page(store.engine.dialect, token=token, most=51))


def explained(store: Store, query: sql.ClauseElement) -> list[str]:
    compiled: Any = query.compile(dialect=sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True})  # fmt: skip
    with reading(store.engine) as connection:
        values = {name: str(value) for name, value in compiled.params.items()}
        told = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {compiled.string}", values)
        return [str(row[3]) for row in told.fetchall()]


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS.keys())
@pytest.mark.parametrize(
    ("sort_by", "descending", "continued"), [*itertools.product(KEYS, [True, False], [True, False])]
)
def test_every_order_goes_along_its_index(
    store: Store, filters: Filters, sort_by: SortKey, descending: bool, continued: bool
) -> None:
    listing = ResourceListing(kind=KIND, region=REGION, filters=filters, sort_by=sort_by, descending=descending)
    (step,) = plan(store, listing, continued=continued)  # one step: nothing is sorted
    assert INDEX[sort_by] in step
    if continued:
        further = "<" if descending else ">"
        column = "<expr>" if sort_by == "name" else f"({sort_by},arn)"
        assert f"{column}{further}" in step


@pytest.mark.parametrize("continued", [True, False])
def test_names_that_begin_alike_are_a_stretch_of_the_index_by_name(store: Store, continued: bool) -> None:
    filters = Filters(name_prefix="bucket/")
    listing = ResourceListing(kind=KIND, region=REGION, filters=filters, sort_by="name", descending=False)
    (step,) = plan(store, listing, continued=continued)
    assert "resources_by_name (kind=? AND region=? AND <expr>>? AND <expr><?" in step


@pytest.mark.parametrize("descending", [True, False])
def test_a_state_goes_along_the_index_of_states(store: Store, descending: bool) -> None:
    listing = ResourceListing(kind=KIND, region=REGION, filters=Filters(statuses=("Active",)), descending=descending)
    (step,) = plan(store, listing, continued=True)
    assert "resources_in_status (kind=? AND region=? AND status=? AND (created,arn)" in step


def test_of_several_states_the_first_rows_of_each_are_put_into_one_order(store: Store) -> None:
    listing = ResourceListing(kind=KIND, region=REGION, filters=Filters(statuses=("Active", "Updating")))
    steps = plan(store, listing, continued=True)
    assert (
        sum("resources_in_status (kind=? AND region=? AND status=? AND (created,arn)<" in step for step in steps) == 2
    )
    assert not any("resources_by" in step for step in steps)


@pytest.mark.parametrize("more", [{}, {"statuses": ("Active",)}, {"created_after": NOON}, {"name_contains": "x"}])
def test_a_member_goes_along_its_own_index(store: Store, more: dict[str, Any]) -> None:
    listing = ResourceListing(kind=KIND, region=REGION, filters=Filters(equals={"baseModelArn": "b"}, **more))
    (step,) = plan(store, listing, continued=True)
    assert "resources_custom_model_baseModelArn (kind=? AND <expr>=? AND region=? AND " in step
    assert "(created,arn)<" in step


def test_what_names_a_resource_is_found_by_the_members_index(store: Store) -> None:
    asked: list[tuple[str, Any]] = []
    sql.event.listen(store.engine, "before_cursor_execute", lambda *event: asked.append((event[2], event[3])))
    store.references.naming(KIND, ["baseModelArn"], "b")
    ((query, parameters),) = (each for each in asked if each[0].startswith("SELECT"))
    with reading(store.engine) as connection:
        told = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {query}", parameters)
        assert "resources_custom_model_baseModelArn (kind=? AND <expr>=?)" in told.fetchall()[0][3]
