"""The fuzz campaign in small; `tests/soak/test_fuzz.py` is the same with fifty thousand requests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.campaign import ENDS_S, Campaign, digest
from tests.fuzz.seeds import Furniture, furnish
from tests.support.servers import ServerProcess, server_process


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    with server_process(home) as running:
        yield running


@pytest.fixture(scope="module")
def there(server: ServerProcess) -> Furniture:
    return furnish(server.client)


@pytest.fixture
def campaign(server: ServerProcess) -> Campaign:
    # Whether it hangs, not how fast it is: the campaign itself asks for two seconds.
    return Campaign(endpoint=server.endpoint, credentials=server.credentials, slow_s=ENDS_S / 2)


@pytest.mark.usefixtures("there")
def test_no_request_without_a_proof_changes_anything(campaign: Campaign, home: Path) -> None:
    before = digest(home)
    assert campaign.unproven(150, seed=7).troubles == []
    assert digest(home) == before


def test_no_signed_request_breaks_the_server(campaign: Campaign, server: ServerProcess, there: Furniture) -> None:
    report = campaign.proven(150, seed=7, there=there)
    assert report.troubles == []
    assert report.share_answered > 0.25, "most requests were turned away before they reached anything"
    assert server.process.poll() is None
