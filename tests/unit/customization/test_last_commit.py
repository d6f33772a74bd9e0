"""The last commit of a job, which puts the model on record: the database may go away before it, and in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outcrop.jobs import full_disk
from outcrop.store.postgresql import DatabaseAway
from outcrop.store.store import Store
from tests.support.homes import with_tiny_models
from tests.support.job_house import JobHouse


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobHouse]:
    monkeypatch.setattr(full_disk, "_DATABASE_PAUSE_S", 0.0)
    opened = JobHouse(with_tiny_models(tmp_path / "home"))
    yield opened
    opened.context.store.close()


@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after it, unheard"])
def test_a_database_that_goes_away_at_the_last_commit_costs_no_model(
    house: JobHouse, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    job = house.create("one")
    models = house.context.settings.models
    away: list[bool] = []
    transaction = Store.transaction

    @contextmanager
    def breaking(self: Store) -> Iterator[Any]:
        arn = house.context.jobs.get(job).document["modelArn"]
        with transaction(self) as opened:
            yield opened
            moved = house.context.models.folder(arn).exists()
            if moved and not committed and not away:
                away.append(True)
                raise DatabaseAway("The database server does not answer.")
        if moved and not away:
            away.append(True)
            raise DatabaseAway("The database server does not answer.")

    monkeypatch.setattr(Store, "transaction", breaking)
    assert house.work(job)
    monkeypatch.undo()
    assert away == [True]
    found = house.context.jobs.get(job)
    assert found.status == "Completed", found.document
    folder = house.context.models.folder(found.document["modelArn"])
    assert (folder / "adapter_model.safetensors").is_file()
    assert house.context.store.resources.row(found.document["modelArn"]) is not None
    assert [each.name for each in models.iterdir() if each.name.startswith(f".{folder.name}")] == []
