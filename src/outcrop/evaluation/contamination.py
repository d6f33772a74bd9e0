"""The contamination check: test records that a model, or a custom model above it, has learned from.

The same record is found by its digest in the lineage that the job has left in its output. What nearly repeats one is
found in the training data itself, by the letter sequences that they share: MinHash for records, and for plain texts
whether one holds the test record. Records that a job set aside were not learned, and do not count.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import ClientError

from outcrop.buckets.names import parse_s3_uri
from outcrop.data.fetching import names_of
from outcrop.datasets import dataset as datasets
from outcrop.datasets.observing import shingles
from outcrop.datasets.observing.near_duplicates import NearRecords
from outcrop.datasets.observing.observer import SeenRecord, text_of
from outcrop.datasets.observing.shingles import Hashes
from outcrop.datasets.record_file import TRAINING, KnownRecord, read_known
from outcrop.datasets.records import Customization, Record, TextRecord, digest
from outcrop.errors import Invalid
from outcrop.evaluation.questions import Question
from outcrop.evaluation.report.value import ContaminationReport, FoundRecord, LearnedFrom

_LEAST_CONTAINED = 0.8
_LEAST_SHINGLES = 16
"Of a test record: fewer stand in any long text."
_RECORDS = "records.lineage"


def check(
    clients: Mapping[str, Any], questions: Sequence[Question], custom_models: Mapping[str, str | None]
) -> ContaminationReport:
    """Look for the questions in what each compared model has learned from, its ancestors' data too.

    `clients` are boto3's for bedrock and s3; `custom_models` has the ARN of each compared model, None of a base model.
    """
    learned: list[LearnedFrom] = []
    unknown: list[str] = []
    for compared, arn in custom_models.items():
        line = list(_line(clients["bedrock"], arn)) if arn is not None else []
        unknown += [compared] if arn is None else []
        for told in line:
            model = compared if told is line[0] else str(told["modelName"])
            learned.append(_learned_from(clients, told, questions, model=model, compared=compared))
    notes = []
    if unknown:
        names = ", ".join(dict.fromkeys(unknown))
        notes.append(f"What {names} learned from before it came here is not on record: it could not be looked through.")
    return ContaminationReport(learned=tuple(learned), notes=tuple(notes))


def check_file(path: Path, questions: Sequence[Question], *, name: str) -> LearnedFrom:
    """Look for the questions in the records of a file, such as those that a prompt draws examples from."""
    return _looked_through(_FileData(path), questions, model=name, compared=name)


def _line(bedrock: Any, arn: str) -> Iterator[dict[str, Any]]:
    """A custom model and those that it was trained from, the youngest first."""
    now: str | None = arn
    while now is not None:
        try:
            told = bedrock.get_custom_model(modelIdentifier=now)
        except bedrock.exceptions.ResourceNotFoundException:
            return
        yield told
        parent = str(told.get("baseModelArn", ""))
        now = parent if ":custom-model/" in parent else None


def _learned_from(
    clients: Mapping[str, Any], told: Mapping[str, Any], questions: Sequence[Question], *, model: str, compared: str
) -> LearnedFrom:
    uri = told.get("trainingDataConfig", {}).get("s3Uri")
    if uri is None:
        note = f"{model} was not trained here: what it learned from is not on record."
        return LearnedFrom(model=model, compared=compared, num_records=0, found=(), note=note)
    with tempfile.TemporaryDirectory(prefix="outcrop-contamination-") as folder:
        data = _TrainingData(clients, told, str(uri), Path(folder))
        return _looked_through(data, questions, model=model, compared=compared)


def _looked_through(
    data: "_TrainingData | _FileData", questions: Sequence[Question], *, model: str, compared: str
) -> LearnedFrom:
    known = data.known()
    records = data.records()
    if known is None and records is None:
        note = f"{model}: neither its lineage nor its training data ({data.uri}) is there: it was not looked through."
        return LearnedFrom(model=model, compared=compared, num_records=0, found=(), note=note)
    set_aside = {(each.file, each.line) for each in known or () if each.set_aside}
    taught = None if records is None else [each for each in records if (each.file, each.line) not in set_aside]
    places = _digests(known, taught)
    test = [(question, record) for question in questions if (record := question.record) is not None]
    found = {
        question.id: FoundRecord(id=question.id, likeness=1.0, where=data.place(*places[said]))
        for question, record in test
        if (said := digest(record)) in places
    }
    note = ""
    if taught is None:
        note = f"{model}: its training data ({data.uri}) is gone, so records that are only alike were not looked for."
    else:
        near = [(question, record) for question, record in test if question.id not in found]
        found |= {each.id: each for each in _near(near, taught, data)}
    return LearnedFrom(
        model=model,
        compared=compared,
        num_records=len(places) if taught is None else len(taught),
        found=tuple(found[each.id] for each in questions if each.id in found),
        note=note,
    )


def _digests(known: Sequence[KnownRecord] | None, taught: Sequence[Record] | None) -> dict[bytes, tuple[int, int]]:
    """Where each record that was learned stands: its file and line."""
    if known is not None:
        return {each.digest: (each.file, each.line) for each in known if not each.set_aside}
    return {digest(each): (each.file, each.line) for each in taught or ()}


def _near(
    test: Sequence[tuple[Question, Record]], taught: Sequence[Record], data: "_TrainingData | _FileData"
) -> Iterator[FoundRecord]:
    texts = [each for each in taught if isinstance(each, TextRecord)]
    yield from _contained(test, texts, data)
    records = [each for each in taught if not isinstance(each, TextRecord)]
    if records and test:
        yield from _alike(test, records, data)


def _alike(
    test: Sequence[tuple[Question, Record]], taught: Sequence[Record], data: "_TrainingData | _FileData"
) -> Iterator[FoundRecord]:
    """Test records of which a training record has nearly all letter sequences."""
    learned = NearRecords()
    for at, record in enumerate(taught):
        learned.add(_seen(record, at))
    learned.close()
    asked = NearRecords([learned], "the training data")
    for at, (_, record) in enumerate(test):
        asked.add(_seen(record, at))
    asked.close()
    for pair in asked.found(np.arange(len(test))).overlap:
        question, record = test[pair.line][0], taught[pair.train_line]
        yield FoundRecord(id=question.id, likeness=pair.likeness, where=data.place(record.file, record.line))


def _seen(record: Record, at: int) -> SeenRecord:
    numbered = TextRecord(text="", line=at)
    return SeenRecord(record=numbered, encoded=(), text=text_of(record), digest=digest(record))


def _contained(
    test: Sequence[tuple[Question, Record]], texts: Sequence[TextRecord], data: "_TrainingData | _FileData"
) -> Iterator[FoundRecord]:
    """Test records that stand within a training text, as a part of it."""
    wanted = [(question, np.unique(shingles.of_text(text_of(record)))) for question, record in test]
    wanted = [(question, hashes) for question, hashes in wanted if len(hashes) >= _LEAST_SHINGLES]
    best: dict[str, FoundRecord] = {}
    for text in texts if wanted else ():
        learned = np.unique(shingles.of_text(text.text))
        for question, hashes in wanted:
            share = _share(hashes, learned)
            if share >= _LEAST_CONTAINED and (question.id not in best or share > best[question.id].likeness):
                best[question.id] = FoundRecord(
                    id=question.id, likeness=round(share, 3), where=data.place(text.file, text.line)
                )
    yield from best.values()


def _share(hashes: Hashes, learned: Hashes) -> float:
    if not len(learned):
        return 0.0
    place = np.minimum(np.searchsorted(learned, hashes), len(learned) - 1)
    return float((learned[place] == hashes).mean())


class _FileData:
    """Records of a file on this machine."""

    def __init__(self, path: Path) -> None:
        self.uri = str(path)
        self._dataset = datasets.of_path(path)

    def known(self) -> None:
        """There is no lineage of a file."""

    def records(self) -> list[Record]:
        read = datasets.read_dataset(self._dataset, customization="FINE_TUNING")
        return [line.record for line in read if line.record is not None]

    def place(self, file: int, line: int) -> str:
        return f"{self._dataset.files[file].name}:{line}"


class _TrainingData:
    """The training data of one custom model and its lineage, as far as they are still in their buckets."""

    def __init__(self, clients: Mapping[str, Any], told: Mapping[str, Any], uri: str, folder: Path) -> None:
        self.uri = uri
        self._s3 = clients["s3"]
        self._told = told
        self._folder = folder
        self._files: list[str] = []

    def known(self) -> list[KnownRecord] | None:
        """The records of the lineage; None where it is not in the job's output."""
        output, job = self._told.get("outputDataConfig", {}).get("s3Uri"), self._told.get("jobArn")
        if not output or not job:
            return None
        place = self._folder / _RECORDS
        key = f"model-customization-job-{str(job).rsplit('/', 1)[-1]}/lineage/{_RECORDS}"
        if not self._fetched(f"{output.rstrip('/')}/{key}", place):
            return None
        with suppress(Invalid):
            return list(read_known(place, part=TRAINING))
        return None

    def records(self) -> list[Record] | None:
        """The records of the training data as it is now; None where it is gone."""
        place = self._folder / "data" / (self.uri.rstrip("/").rsplit("/", 1)[-1] or "data")
        place.parent.mkdir()
        if not self._fetched(self.uri, place):
            return None
        kind: Customization = self._told.get("customizationType", "FINE_TUNING")
        dataset = datasets.of_path(place)
        self._files = [file.name for file in dataset.files]
        read = datasets.read_dataset(dataset, customization=kind)
        return [line.record for line in read if line.record is not None]

    def place(self, file: int, line: int) -> str:
        """Where a record stands, for people."""
        name = self._files[file] if file < len(self._files) else self.uri.rsplit("/", 1)[-1]
        return f"{name}:{line}"

    def _fetched(self, uri: str, place: Path) -> bool:
        bucket, key = parse_s3_uri(uri)
        try:
            if not key.endswith("/"):
                self._s3.download_file(bucket, key, str(place))
                return True
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            names = names_of([item["Key"] for page in pages for item in page.get("Contents", [])], prefix=key)
            for each, name in names.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(bucket, each, str(place / name))
            return bool(names)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return False
            raise
