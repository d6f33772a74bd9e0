"""Jobs under a key: the very weights of a plain job, and nothing of data, weights and answers in clear in the home."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from outcrop.access.names import Kind
from outcrop.customization import stop_job
from outcrop.errors import Denied, Invalid
from outcrop.keys.sealed_folder import OpenedKeys
from outcrop.keys.sealed_records import key_arn_of, sealed_by
from outcrop.keys.specs import SPECS, KeyUsage
from outcrop.network import weight_files
from tests.support.homes import with_tiny_models
from tests.support.job_house import BUCKET, REGION, JobHouse, Killed
from tests.support.plaintext_scan import Leak, PlaintextScan
from tests.support.policies import policy

WORDS = [f"{random.Random(number).getrandbits(40):x}" for number in range(400)]
FORMS = (b'{"prompt": "', b'", "completion": "', b'"}\n{"prompt"', b'"prompt":', b'"expected":', b'"answer":')
"In every file of records, and in events."


def records(count: int, *, seed: int) -> bytes:
    chance = random.Random(seed)
    lines = (
        json.dumps({"prompt": " ".join(chance.choices(WORDS, k=4)), "completion": " ".join(chance.choices(WORDS, k=3))})
        for _ in range(count)
    )
    return "\n".join(lines).encode()


TRAINING, VALIDATION = records(12, seed=1), records(2, seed=2)


def house_of(home: Path, *, seal: bool) -> JobHouse:
    house = JobHouse(with_tiny_models(home), seal=seal)
    house.put("secret.jsonl", TRAINING)
    house.put("held-out.jsonl", VALIDATION)
    return house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JobHouse]:
    """A home whose buckets are sealed, so that whatever else lies in clear is the job's."""
    made = house_of(tmp_path / "home", seal=True)
    yield made
    made.context.close()


def kms_key(house: JobHouse) -> str:
    """A key with the policy that KMS gives: IAM decides, and the jobs' role is allowed nothing there."""
    root = {"AWS": f"arn:aws:iam::{house.context.account}:root"}
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}],
    }
    return house.context.keys.create(
        region=REGION, spec=SPECS["SYMMETRIC_DEFAULT"], usage=KeyUsage.ENCRYPT_DECRYPT, description="",
        policy=json.dumps(document), tags={},
    ).arn  # fmt: skip


def create(house: JobHouse, name: str, **more: Any) -> str:
    return house.create(name, data="secret.jsonl", validation="held-out.jsonl", **more)


def model_of(house: JobHouse, job: str) -> Any:
    found = house.context.models.look(REGION, house.context.jobs.get(job).document["modelArn"])
    assert found is not None, house.context.jobs.get(job).document.get("failureMessage")
    return found


def weights(house: JobHouse, job: str) -> dict[str, Any]:
    model = model_of(house, job)
    folder = house.context.models.folder(model.arn)
    return weight_files.read_file(folder / "adapter_model.safetensors", house.context.models.keys(model.arn).open)


def leaks(house: JobHouse, **more: bytes) -> list[Leak]:
    scan = PlaintextScan({"training": TRAINING, "validation": VALIDATION, **more}, known=FORMS)
    return scan.files(house.settings.home)


def test_a_sealed_job_leaves_the_weights_of_a_plain_one_and_nothing_in_clear(house: JobHouse, tmp_path: Path) -> None:
    # Given a plain job in another home, and one under a key whose worker is killed on the way
    plain = house_of(tmp_path / "plain", seal=False)
    job = create(plain, "told")
    plain.work(job)
    folder = plain.context.models.folder(model_of(plain, job).arn)
    expected = load_file(folder / "adapter_model.safetensors")
    content = b"".join(each.numpy().tobytes() for each in expected.values())
    plain.context.close()

    key = kms_key(house)
    sealed = create(house, "hidden", key=key)

    def kill(words: str) -> None:
        if words == "step 4":
            raise Killed

    with pytest.raises(Killed):
        house.work(sealed, report=kill)
    killed = leaks(house, weights=content)
    house.work(sealed, attempt=2)

    # Then the weights are the same, and no 16 bytes of what was learned lie in the home, killed or done
    found = weights(house, sealed)
    assert found.keys() == expected.keys()
    assert all(bool((found[name] == each).all()) for name, each in expected.items())
    events = house.output(sealed, "training_artifacts/events.jsonl")
    assert [each["event"] for each in house.events(sealed)].count("resume") == 1
    assert b'"answers"' in events
    assert killed == []
    assert leaks(house, weights=content, events=b"".join(_answers(events))) == []
    assert not (house.settings.runs / sealed.rsplit("/", 1)[-1]).exists()
    assert house.context.keys.records.grants(key) == [], "what its role was granted is taken back"
    assert list(Path("/dev/shm").glob(f"outcrop-*/{sealed.rsplit('/', 1)[-1]}")) == []


def _answers(events: bytes) -> Iterator[bytes]:
    for line in events.splitlines():
        for each in json.loads(line).get("answers", ()):
            yield each["answer"].encode() + b"\n"


def test_a_disabled_key_fails_the_job_and_an_enabled_one_lets_it_go_on(house: JobHouse) -> None:
    key = kms_key(house)
    job = create(house, "locked", key=key)
    house.context.keys.set_enabled(key, enabled=False)
    with pytest.raises(Invalid, match=r"cannot be used: .* is disabled \(DisabledException\)"):
        create(house, "another", key=key)
    house.work(job)
    assert "is disabled (DisabledException)" in house.context.jobs.get(job).document["failureMessage"]
    house.context.keys.set_enabled(key, enabled=True)
    again = create(house, "again", key=key)
    house.work(again)
    assert key_arn_of(model_of(house, again).document) == key


def test_what_comes_of_a_sealed_model_is_sealed_by_its_key(house: JobHouse) -> None:
    key = kms_key(house)
    parent = create(house, "parent", key=key)
    house.work(parent)
    further = create(house, "further", base=model_of(house, parent).arn)
    house.work(further)
    model = model_of(house, further)
    assert key_arn_of(model.document) == key
    assert sealed_by(model.document) != sealed_by(model_of(house, parent).document), "a data key of its own"
    role = house.role.rsplit("/", 1)[-1]
    house.context.access.attachments.put_inline(Kind.ROLE, role, "key", policy("Allow", "kms:Decrypt"))
    checkpoint = next(name for name in house.keys(parent) if name.endswith("checkpoint.json")).rsplit("/", 1)[0]
    made = house.create_custom_model(
        "taken", f"s3://{BUCKET}/{house.folder(parent)}/{checkpoint}", authorize_key=lambda _key, _context: None
    )
    row = house.context.models.look(REGION, made)
    assert row is not None
    assert key_arn_of(row.document) == key
    assert leaks(house) == []


def test_everything_is_sealed_by_the_installations_key_where_that_is_asked_for(house: JobHouse) -> None:
    job = create(house, "unnamed", more={"outcrop.method": "full", "learningRate": "0.0003"})
    house.work(job)
    model = model_of(house, job)
    wrapped = sealed_by(model.document)
    assert wrapped is not None
    assert wrapped.key_arn == ""
    assert key_arn_of(model.document) is None
    folder = house.context.models.folder(model.arn)
    found = weight_files.read_folder(folder, OpenedKeys.of([folder], house.context.envelopes.open).open)
    learned = b"".join(each.numpy().tobytes() for name, each in found.items() if "proj" in name)
    assert learned, "layers of which every number is trained"
    assert leaks(house, weights=learned) == []


def test_a_key_that_nobody_asked_about_and_a_learned_tokenizer_are_refused(house: JobHouse) -> None:
    house.put("model/adapter_config.json", b"{}")
    with pytest.raises(Denied, match="nobody was asked"):
        house.create_custom_model("mine", "s3://house/model", modelKmsKeyArn=kms_key(house))
    more = {"outcrop.initialize": "random", "outcrop.tokenizerSize": "300", "outcrop.method": "full"}
    with pytest.raises(Invalid, match=r"outcrop.tokenizerSize: a tokenizer that is learned from the data"):
        create(house, "own", more=more)


def test_a_grant_is_there_as_long_as_a_job_may_write(house: JobHouse) -> None:
    key, grants = kms_key(house), house.context.keys.records.grants
    job = create(house, "unbegun", key=key)
    assert [grant.name for grant in grants(key)] == [job.rsplit("/", 1)[-1]]
    with pytest.raises(Invalid, match="job name is currently in use"):
        create(house, "unbegun", key=key)
    assert len(grants(key)) == 1
    stop_job.stop(house.context, job)
    assert grants(key) == []
