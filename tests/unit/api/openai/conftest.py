"""A house that is asked for what it refuses only, opened once for all such questions."""

from collections.abc import Iterator

import pytest

from tests.support.openai_house import OpenAiHouse, silent_house


@pytest.fixture(scope="session")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAiHouse]:
    with silent_house(tmp_path_factory.mktemp("silent")) as place:
        yield place
