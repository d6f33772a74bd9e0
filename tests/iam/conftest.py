"""A server of this folder's own, with clients of boto3 for the administrator and for users made on the way."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.servers import Running, running_server

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("iam") / "home") as running:
        yield running


@pytest.fixture
def iam(server: Running) -> Any:
    return server.client("iam")


@pytest.fixture
def user(iam: Any) -> str:
    """A new user without permissions."""
    name = f"user-{next(_numbers)}"
    iam.create_user(UserName=name)
    return name


@pytest.fixture
def client_of(server: Running, iam: Any) -> Callable[..., Any]:
    """A client of a service under a new access key of a user."""

    def make(user: str, service: str, **config: Any) -> Any:
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return server.client(
            service,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            **config,
        )

    return make
