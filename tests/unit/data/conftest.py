"""A home with an account, a bucket, and a role that Bedrock may take on for customization jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.access.access import Access
from outcrop.buckets.buckets import Buckets
from outcrop.clock import MovableClock
from outcrop.data.data import Data
from outcrop.house import House
from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support.policies import trusting

BUCKET, ROLE = "books", "Reader"


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    settings, clock = Settings(home=tmp_path / "home"), MovableClock()
    store = Store.open(settings)
    data = Data(access=Access.open(store, settings, clock), buckets=Buckets(store, clock))
    data.buckets.create(BUCKET, "us-east-1")
    data.access.identities.create_role(ROLE, trust=trusting({"Service": "bedrock.amazonaws.com"}))
    yield data
    store.close()


@pytest.fixture
def house_data(tmp_path: Path) -> Iterator[tuple[House, Data]]:
    """The same with keys of KMS."""
    with House.open(Settings(home=tmp_path / "keyed"), MovableClock()) as house:
        house.buckets.create(BUCKET, "us-east-1")
        house.access.identities.create_role(ROLE, trust=trusting({"Service": "bedrock.amazonaws.com"}))
        yield house, house.data
