"""A house that is opened once, for what leaves nothing behind."""

from collections.abc import Iterator

import pytest

from tests.support.openai_house import OpenAiHouse, silent_house


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAiHouse]:
    with silent_house(tmp_path_factory.mktemp("shared")) as place:
        yield place
