"""Roles that change after a job was accepted under them: asked again when it runs, and while it does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.access.names import Kind
from tests.support.homes import with_tiny_models
from tests.support.job_house import JobHouse
from tests.support.policies import policy, trusting

BEDROCK = trusting({"Service": "bedrock.amazonaws.com"})
NAME = "Tuning"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JobHouse]:
    """Whose jobs run under a role of their own."""
    opened = JobHouse(with_tiny_models(tmp_path))
    access = opened.context.access
    opened.role = access.identities.create_role(NAME, trust=BEDROCK).arn
    access.attachments.put_inline(Kind.ROLE, NAME, "data", policy("Allow", "s3:*"))
    yield opened
    opened.context.store.close()


def failure(house: JobHouse, job: str) -> str:
    ended = house.context.jobs.get(job)
    assert ended.status == "Failed"
    return str(ended.document["failureMessage"])


def delete(house: JobHouse) -> None:
    house.context.access.attachments.delete_inline(Kind.ROLE, NAME, "data")
    house.context.access.identities.delete(Kind.ROLE, NAME)


def test_a_job_whose_role_was_deleted_before_it_ran_fails(house: JobHouse) -> None:
    job = house.create("one")
    delete(house)
    assert house.work(job)
    assert failure(house, job).startswith(
        f"Could not assume provided IAM role. (roleArn: there is no role {house.role} in account "
    )


def test_a_job_whose_role_came_to_trust_another_kind_of_job_fails(house: JobHouse) -> None:
    job = house.create("one")
    imports = f"arn:aws:bedrock:*:{house.context.access.account}:model-import-job/*"
    own = trusting({"Service": "bedrock.amazonaws.com"}, ArnLike={"aws:SourceArn": imports})
    house.context.access.identities.set_trust(NAME, own)
    assert house.work(job)
    assert "but its conditions do not hold for aws:SourceAccount " in failure(house, job)
    assert job in failure(house, job)


def test_a_job_whose_role_is_deleted_while_it_trains_fails_and_leaves_no_model(house: JobHouse) -> None:
    job = house.create("one", validate=False)

    def report(words: str) -> None:
        if words == "step 1":
            delete(house)

    assert house.work(job, report=report)
    assert failure(house, job).startswith("Could not assume provided IAM role. (roleArn: there is no role ")
    assert house.context.models.look("us-east-1", "one") is None
