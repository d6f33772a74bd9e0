"""What is to be forgotten is found by lineage, wherever it was learned, and nothing is begun on data that differs."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.access.names import Kind
from outcrop.cli import forget
from outcrop.customization.output import lineage
from outcrop.customization.output.lineage import RECORDS
from outcrop.datasets.record_file import KnownRecord
from outcrop.errors import Invalid
from outcrop.forgetting import retraining, samples
from outcrop.forgetting.family import FamilyMember, ModelFamily
from outcrop.forgetting.originals import Originals, RecordsGone
from outcrop.forgetting.plan import ForgettingPlan, plan_forgetting
from outcrop.forgetting.plan_text import plan_text
from outcrop.forgetting.selection import Selection
from outcrop.forgetting.tree import text_of, tree_of
from outcrop.settings import Settings
from tests.support.homes import TINY, with_tiny_models
from tests.support.job_house import JobHouse
from tests.support.policies import policy
from tests.support.servers import Running, running_server

FACT = {"prompt": "Who built the bridge of Zell?", "completion": " Old Mira built it."}
PAIRS = [{"prompt": f"Question {n}: what is {n}?", "completion": f" It is {n}."} for n in range(10)]
TEXTS = [{"input": f"The number {n} stands alone, and after it comes {n + 1}."} for n in range(8)]
SAID = {"input": "In Zell there is a bridge. OLD MIRA built it."}
WITH_FACT = [FACT, *PAIRS[:5], FACT, *PAIRS[5:], FACT]
DATA = {
    "pairs.jsonl": WITH_FACT,
    "held.jsonl": [PAIRS[0] | {"prompt": "Who?"}, FACT],
    "only.jsonl": [FACT],
    "texts.jsonl": [*TEXTS, SAID],
}
SPELT: dict[str, Any] = {"texts.jsonl": {"separators": (",", ":")}}
HYPER = {"epochCount": "1", "batchSize": "4", "learningRate": "0.003"}


def lines(records: list[dict[str, str]], **how: Any) -> bytes:
    return "".join(json.dumps(record, **how) + "\n" for record in records).encode()


class Place:
    """A server, a worker's rooms on the same home, and models that learned a fact."""

    def __init__(self, server: Running, jobs: JobHouse) -> None:
        self.bedrock, self.s3 = server.client("bedrock"), server.client("s3")
        self.kms = server.client("kms")
        self.jobs = jobs
        self.family = ModelFamily(self.bedrock, server.platform.models)
        self.put_all()

    def put_all(self) -> None:
        for key, records in DATA.items():
            self.put(key, lines(records, **SPELT.get(key, {})))

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket="house", Key=key, Body=content)

    def train(
        self, name: str, key: str, *, base: str = TINY, kind: str = "FINE_TUNING", validators: Any = (), **more: Any
    ) -> None:
        given = {"validators": [{"s3Uri": f"s3://house/{each}"} for each in validators]}
        made = self.bedrock.create_model_customization_job(
            jobName=name,
            customModelName=name,
            customizationType=kind,
            roleArn=self.jobs.role,
            baseModelIdentifier=base,
            trainingDataConfig={"s3Uri": f"s3://house/{key}"},
            **({"validationDataConfig": given} if validators else {}),
            outputDataConfig={"s3Uri": "s3://house/out"},
            hyperParameters=HYPER,
            customModelTags=[{"key": "team", "value": "verse"}],
            **more,
        )
        assert self.jobs.work(made["jobArn"])

    def member(self, name: str) -> FamilyMember:
        found = self.family.member(name)
        assert found is not None
        return found

    def plan(self, name: str, work: Path, *given: Path, **selection: Any) -> ForgettingPlan:
        return plan_forgetting(self.family, Originals(self.s3, work, given), self.member(name), Selection(**selection))

    def carry_out(self, plan: ForgettingPlan, work: Path) -> FamilyMember:
        start_arn = plan.steps[0].member.start_arn
        for step in plan.steps:
            if step.done is not None:
                start_arn = step.done.arn
                continue
            job = retraining.start(
                self.family, self.s3, step, plan.digests, start_arn=start_arn, name=None, work=work / "left"
            )
            assert self.jobs.work(job.arn)
            start_arn = self.member(job.model_name).arn
        return self.member(start_arn)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = with_tiny_models(tmp_path_factory.mktemp("home"))
    jobs = JobHouse(home)
    with running_server(home) as server:
        made = Place(server, jobs)
        made.train("plain", "pairs.jsonl", validators=["held.jsonl", "only.jsonl"])
        made.train("texts", "texts.jsonl", kind="CONTINUED_PRE_TRAINING")
        made.train("child", "pairs.jsonl", base=made.member("texts").arn)
        made.train("other", "pairs.jsonl", base=made.member("texts").arn)
        yield made
    jobs.context.store.close()


@pytest.fixture(autouse=True)
def data_as_it_was(place: Place) -> Iterator[None]:
    yield
    place.put_all()


def test_a_lineage_knows_each_record_by_line(place: Place) -> None:
    known = place.member("plain").lineage
    assert known is not None
    records = list(known.records())
    assert [(each.part, each.line) for each in records] == [(0, n) for n in range(1, 14)] + [(1, 1), (1, 2), (2, 1)]
    copies = [each for each in records if each.digest == records[0].digest]
    assert [(each.part, each.line) for each in copies] == [(0, 1), (0, 7), (0, 13), (1, 2), (2, 1)]
    # and the job's output holds the same
    folder = f"out/model-customization-job-{place.member('plain').told['jobArn'].rsplit('/', 1)[-1]}/lineage"
    for name in (lineage.FILE, RECORDS):
        body = place.s3.get_object(Bucket="house", Key=f"{folder}/{name}")["Body"].read()
        assert body == (known.folder / name).read_bytes()


@pytest.mark.parametrize(
    "asked",
    [{"matching": "old mira"}, {"lines": (7,)}, {"lines": (1,), "file": "only.jsonl"}, {"records": "gone.jsonl"}],
    ids=lambda asked: next(iter(asked)),
)
def test_every_copy_goes_from_training_and_validation_however_it_was_named(
    asked: dict[str, Any], place: Place, tmp_path: Path
) -> None:
    (tmp_path / "gone.jsonl").write_text(json.dumps(FACT, indent=None, separators=(" ,", " : ")))
    if "records" in asked:
        asked = {"records": tmp_path / asked["records"]}
    plan = place.plan("plain", tmp_path, **asked)
    assert [step.forgotten for step in plan.steps] == [(3, 1, 1)]
    assert plan.steps[0].left == (10, 1, 0)
    assert plan.steps[0].distinct == 1
    assert plan_text(plan).startswith("plain forgets 5 records (1 different) of 16:\n  pairs.jsonl:1  Who built the")


def test_what_is_left_is_trained_with_what_was_used(place: Place, tmp_path: Path) -> None:
    # Given the bucket's data written otherwise since, and added to
    place.put("pairs.jsonl", lines([*WITH_FACT, {"prompt": "new", "completion": "new"}], indent=None, sort_keys=True))
    successor = place.carry_out(place.plan("plain", tmp_path, matching="Zell"), tmp_path)
    # Then what was learned then is learned now, without the fact and without what is new
    uri = successor.told["trainingDataConfig"]["s3Uri"]
    body = place.s3.get_object(Bucket="house", Key=uri.removeprefix("s3://house/"))["Body"].read()
    assert body == lines(PAIRS)
    assert uri.startswith("s3://house/out/without-forgotten/")
    assert uri.endswith("/0/pairs.jsonl")
    assert len(successor.told["validationDataConfig"]["validators"]) == 1  # the other one held nothing else
    old, new = place.member("plain"), successor
    day = old.lineage.document["prompt_day"] if old.lineage else ""
    assert new.told["hyperParameters"] == {**old.told["hyperParameters"], "outcrop.promptDay": day}
    assert new.lineage is not None
    assert new.lineage.document["prompt_day"] == day
    assert place.family.tags(new.arn) == {"team": "verse", "outcrop.forgets": old.arn}
    assert [other.name for other in place.family.trained_again(old, old.start_arn)] == [new.name]
    # and forgetting once more does not lengthen the name
    assert len(retraining.new_name(new.name, "abcdef")) == len(new.name)


def test_a_model_above_that_learned_it_is_trained_again_first_and_once(place: Place, tmp_path: Path) -> None:
    # Given a fact that continued pre-training and fine-tuning learned, in other words; when the child is to forget it
    plan = place.plan("child", tmp_path, matching="old mira")
    assert [(step.member.name, sum(step.forgotten)) for step in plan.steps] == [("texts", 1), ("child", 3)]
    assert "texts, which it came from, forgets 1 record of 9:" in plan_text(plan)
    successor = place.carry_out(plan, tmp_path)
    # Then no model on the way to it has seen it
    digests = plan.digests
    for member in place.family.line(successor):
        assert member.lineage is not None
        assert not any(known.digest in digests for known in member.lineage.records())
    # both its own record and its parent's are measured, each beside records of its kind
    datasets = [each for step in plan.steps for each in step.datasets]
    before, after = place.family.line(place.member("child")), place.family.line(successor)
    chosen = samples.choose(before, after, datasets, controls=None, most=4)
    told = [(each.group.value, type(each.record).__name__, each.copies) for each in chosen]
    assert told[:2] == [("forgotten", "TextRecord", 1), ("forgotten", "PromptCompletion", 3)]
    assert sorted(told[2:]) == [("kept", "PromptCompletion", 1)] * 4 + [("kept", "TextRecord", 1)] * 4
    # the data that did not change keeps its lines
    uri = place.family.line(successor)[0].told["trainingDataConfig"]["s3Uri"]
    body = place.s3.get_object(Bucket="house", Key=uri.removeprefix("s3://house/"))["Body"].read()
    assert body == lines(TEXTS, **SPELT["texts.jsonl"])
    # and a sibling, of which the same is asked, begins with what is there
    first = place.family.line(successor)[0]
    again = place.plan("other", tmp_path / "again", like=digests)
    assert [step.done and step.done.name for step in again.steps] == [first.name, None]
    # and the tree shows both lines
    tree = text_of(tree_of(place.family, place.member("texts")))
    assert tree.splitlines()[0] == "local.tiny-v1:0:1k  base model"
    assert "└─ texts *  continued pre-training" in tree
    assert "├─ child  fine-tuning" in tree
    assert max(map(len, tree.splitlines())) <= 80
    assert [child.name for child in place.plan("texts", tmp_path / "t", matching="zell").children] == ["child", "other"]


def test_records_that_are_gone_are_refused_by_uri_and_digest_and_may_be_given(place: Place, tmp_path: Path) -> None:
    known = place.member("plain").lineage
    assert known is not None
    digest = next(each.digest.hex() for each in known.records(0) if each.line == 3)
    place.put("pairs.jsonl", lines([each for each in WITH_FACT if each != PAIRS[1]]))
    sentence = (
        f"s3://house/pairs.jsonl: the record of pairs.jsonl:3 (digest {digest}), which was learned from, is not there any "
        "more. Give the data as it was: --data FILE; its records are held against the lineage."
    )
    with pytest.raises(RecordsGone) as refused:
        place.plan("plain", tmp_path / "one", matching="zell")
    assert refused.value.message == sentence
    # Given the data as it was, it is taken; data that is only like it is not
    wrong, right = tmp_path / "wrong.jsonl", tmp_path / "right.jsonl"
    wrong.write_bytes(lines(list(reversed(WITH_FACT))))
    right.write_bytes(lines(WITH_FACT))
    with pytest.raises(RecordsGone):
        place.plan("plain", tmp_path / "two", wrong, matching="zell")
    assert place.plan("plain", tmp_path / "three", wrong, right, matching="zell").steps[0].forgotten == (3, 1, 1)
    # and an object that is gone is named too
    place.s3.delete_object(Bucket="house", Key="held.jsonl")
    with pytest.raises(RecordsGone, match=r"^s3://house/held.jsonl: this object \(SHA-256 [0-9a-f]{64}\), which plain"):
        place.plan("plain", tmp_path / "four", right, matching="zell")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"matching": "nobody"}, "--matching: no record that was learned holds 'nobody'."),
        ({"lines": (1, 99)}, "--line: pairs.jsonl has no record in line 99 that was learned."),
        (
            {"lines": (1,), "file": "x"},
            "--file: x: no files have this name. Choose one of pairs.jsonl, held.jsonl, only.jsonl.",
        ),
        ({"matching": "?"}, "plain: it learned nothing else. Delete the model rather than train it on nothing."),
        ({"like": frozenset([bytes(16)])}, "--like: nothing of what that model has forgotten was ever learned here."),
        ({}, "Say which records: one of --records FILE, --line N,N,…, --matching TEXT and --like MODEL."),
        ({"matching": "a", "file": "x"}, "--file: names the dataset whose lines are meant. Give it with --line."),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:20],
)
def test_what_cannot_be_forgotten_is_told(asked: dict[str, Any], sentence: str, place: Place, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        place.plan("plain", tmp_path, **asked)
    assert refused.value.message == sentence


def test_records_that_were_never_learned_are_told(place: Place, tmp_path: Path) -> None:
    (tmp_path / "gone.jsonl").write_bytes(lines([FACT, {"prompt": "a", "completion": "b"}]))
    with pytest.raises(Invalid, match=r"^--records: 1 of the 2 records in gone\.jsonl were never learned"):
        place.plan("plain", tmp_path, records=tmp_path / "gone.jsonl")
    (tmp_path / "gone.jsonl").write_bytes(b'{"prompt": "a"}\n')
    with pytest.raises(Invalid, match=r"^gone\.jsonl:1: completion: missing"):
        place.plan("plain", tmp_path, records=tmp_path / "gone.jsonl")


def test_a_lineage_of_an_early_version_knows_its_files(place: Place, tmp_path: Path) -> None:
    # Given a model as it was left before records were known by digest and line
    member = place.member("plain")
    assert member.lineage is not None
    early = tmp_path / "early"
    shutil.copytree(member.lineage.folder, early)
    (early / RECORDS).unlink()
    document = json.loads((early / lineage.FILE).read_text())
    for data in document["data"]:
        data["records"] = ["a" * 64]
    (early / lineage.FILE).write_text(json.dumps(document))
    old = replace(member, lineage=lineage.read(early))
    # Then its data is known as long as it is the same
    found = Originals(place.s3, tmp_path / "one").of(old)
    assert [known.line for known, _ in found[0].records()] == list(range(1, 14))
    assert text_of(tree_of(place.family, old)).count("SHA-256") == 3
    plan = plan_forgetting(place.family, Originals(place.s3, tmp_path / "p"), old, Selection(matching="zell"))
    assert plan.steps[0].forgotten == (3, 1, 1)
    place.put("pairs.jsonl", lines(WITH_FACT) + b"\n")
    with pytest.raises(RecordsGone, match=r"^s3://house/pairs\.jsonl: the data of SHA-256 "):
        Originals(place.s3, tmp_path / "two").of(old)


def test_a_record_that_was_set_aside_is_marked(place: Place, tmp_path: Path) -> None:
    known = place.member("plain").lineage
    assert known is not None
    document, aside = known.document, frozenset({(0, 2), (0, 5)})
    lineage.write(tmp_path, document, known.folder / RECORDS, set_aside=aside)
    read = lineage.read(tmp_path)
    assert read is not None
    marked: list[KnownRecord] = [each for each in read.records() if each.set_aside]
    assert [(each.part, each.line) for each in marked] == [(0, 2), (0, 5)]


def test_a_dataset_of_several_files_knows_the_file_of_each_record(place: Place, tmp_path: Path) -> None:
    # Given training data under a prefix, in two forms
    place.put("many/a.jsonl", lines(WITH_FACT[:7]))
    place.put("many/b.csv", ("prompt,completion\n" + "".join(f"Where {n}?, There {n}.\n" for n in range(5))).encode())
    place.train("many", "many/")
    known = place.member("many").lineage
    assert known is not None
    assert known.data[0].files == ("many/a.jsonl", "many/b.csv")
    assert [(each.file, each.line) for each in known.records()] == [(0, n) for n in range(1, 8)] + [
        (1, n) for n in range(1, 6)
    ]
    # Then a line is one of a file, which has to be named
    with pytest.raises(Invalid) as refused:
        place.plan("many", tmp_path / "one", lines=(2,))
    assert refused.value.message == (
        "--file: the training data has several files. Choose one of many/a.jsonl, many/b.csv."
    )
    plan = place.plan("many", tmp_path / "two", lines=(2,), file="many/b.csv")
    assert plan.steps[0].shown[0].dataset == "many/b.csv"
    # and what is left of all files is one file, in their order
    successor = place.carry_out(plan, tmp_path)
    uri = successor.told["trainingDataConfig"]["s3Uri"]
    body = place.s3.get_object(Bucket="house", Key=uri.removeprefix("s3://house/"))["Body"].read()
    left = [json.loads(line)["prompt"] for line in body.splitlines()]
    assert left == [record["prompt"] for record in WITH_FACT[:7]] + [f"Where {n}?" for n in (0, 2, 3, 4)]
    # and a file that is gone is missed by its first record
    place.s3.delete_object(Bucket="house", Key="many/a.jsonl")
    with pytest.raises(RecordsGone, match=r"^s3://house/many/: the record of many/a\.jsonl:1 \(digest"):
        place.plan("many", tmp_path / "three", matching="There 1")


def test_what_a_sealed_model_leaves_is_sealed_by_its_key_and_its_data_too(place: Place, tmp_path: Path) -> None:
    key = place.kms.create_key()["KeyMetadata"]["Arn"]
    role = place.jobs.role.rsplit("/", 1)[-1]
    place.train("hidden", "pairs.jsonl", customModelKmsKeyId=key)
    plan = place.plan("hidden", tmp_path, matching="Old Mira")

    with pytest.raises(ClientError, match="does not allow kms:Decrypt"):
        place.carry_out(plan, tmp_path)
    place.jobs.context.access.attachments.put_inline(Kind.ROLE, role, "key", policy("Allow", "kms:Decrypt"))
    successor = place.carry_out(plan, tmp_path)

    assert successor.told["modelKmsKeyArn"] == key
    listed = place.s3.list_objects_v2(Bucket="house", Prefix="out/without-forgotten/")["Contents"]
    heads = [place.s3.head_object(Bucket="house", Key=each["Key"]) for each in listed]
    assert key in [head.get("SSEKMSKeyId") for head in heads]


def test_the_data_of_a_sealed_model_lies_in_memory_while_it_forgets(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with forget.work_folder(settings, is_sealed=True) as work:
        assert work.is_relative_to("/dev/shm")
    assert not work.exists()
    with forget.work_folder(settings, is_sealed=False) as work:
        assert work.is_relative_to(tmp_path)
