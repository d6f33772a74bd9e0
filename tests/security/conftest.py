"""One house for all attacks, with a bucket that has something to steal."""

from collections.abc import Iterator

import pytest
from botocore.credentials import Credentials

from tests.support.servers import Running, running_server
from tests.support.vault import BUCKET, KEY, SECRET_TEXT


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("house") / "home") as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=SECRET_TEXT)
        yield running


@pytest.fixture(scope="module")
def keys(house: Running) -> Credentials:
    """The administrator's."""
    return Credentials(house.installation.access_key_id, house.installation.secret_access_key)
