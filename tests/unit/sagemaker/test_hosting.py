"""Models and configurations of endpoints: what is taken of a request, what is refused, and what is kept of it."""

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from outcrop.clock import MovableClock
from outcrop.errors import Invalid, Unavailable
from outcrop.isolation import inward
from outcrop.sagemaker.hosting import change_run, hosted, transform_run
from outcrop.sagemaker.hosting.containers import ModelContainer
from outcrop.sagemaker.hosting.endpoints import Endpoints, with_capacities
from outcrop.sagemaker.hosting.hosted import HostedModel, ServedAs
from outcrop.sagemaker.hosting.plans import EndpointPlan, FleetPlan, VariantPlan, key_of
from outcrop.sagemaker.hosting.states import IN_CHANGE
from outcrop.settings import Settings
from outcrop.store.store import Store

IMAGE = "1.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2"


def container(**members: Any) -> ModelContainer:
    return ModelContainer.of({"Image": IMAGE, **members}, "PrimaryContainer")


def test_empty_texts_stand_for_what_is_not_there() -> None:
    empty = container(Environment={"SAGEMAKER_PROGRAM": "", "SAGEMAKER_SUBMIT_DIRECTORY": "", "HF_MODEL_ID": "a/b"})
    assert (empty.program, empty.submitted, empty.hub_model) == (None, None, "a/b")
    inside = container(Environment={"HF_MODEL_ID": "/opt/ml/model", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"})
    assert (inside.hub_model, inside.submitted) == (None, None)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"S3Uri": "s3://b/m.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}, "s3://b/m.tar.gz"),
        # SDK 3.x's notebooks name an archive so.
        ({"S3Uri": "s3://b/m.tar.gz", "S3DataType": "S3Prefix", "CompressionType": "Gzip"}, "s3://b/m.tar.gz"),
        ({"S3Uri": "s3://b/m", "S3DataType": "S3Prefix", "CompressionType": "None"}, "s3://b/m/"),
        ({"S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}, "s3://b/m/"),
    ],
)
def test_the_place_of_an_artifact(source: dict[str, str], place: str) -> None:
    assert container(ModelDataSource={"S3DataSource": source}).source == place


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"Image": ""}, "PrimaryContainer.Image: missing"),
        ({"ModelPackageName": "p"}, "PrimaryContainer.ModelPackageName: there is no model registry"),
        ({"Mode": "MultiModel"}, "PrimaryContainer.Mode: several models"),
        ({"ModelDataSource": {}}, "ModelDataSource.S3DataSource: missing"),
        (
            {"ModelDataSource": {"S3DataSource": {"S3Uri": "s3://b/f", "S3DataType": "S3Object", "CompressionType": "None"}}},
            "a single object that is no archive",
        ),
    ],
)  # fmt: skip
def test_what_is_not_real_is_refused_by_its_name(members: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        ModelContainer.of({"Image": IMAGE, **members}, "PrimaryContainer")


def plan() -> EndpointPlan:
    fleet = FleetPlan(
        id="f", model_name="m", model_arn="arn:m", model_key="k", container=container(), role="arn:r", isolated=True,
        num_copies=2,
    )  # fmt: skip
    variants = (VariantPlan(name="a", weight=1.0, fleet=fleet), VariantPlan(name="b", weight=0.5))
    return EndpointPlan(config_name="c", variants=variants, capture={"EnableCapture": True})


def test_an_endpoint_is_found_as_it_is_now_whoever_changed_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    here, clock = Store.open(settings), MovableClock()  # which stands still: no time tells one row from another
    elsewhere = Endpoints(Store.open(settings), clock)
    endpoints, name = Endpoints(here, clock), "e"
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}"
    assert endpoints.find("us-east-1", name) is None
    for asked in (plan(), replace(plan(), config_name="d")):
        elsewhere.add(endpoint_arn=arn, name=name, region="us-east-1", plan=asked)
        found = endpoints.find("us-east-1", name)
        assert found is not None
        assert (found.desired, found.serving) == (asked, None)
        elsewhere.serve(arn, found.generation)
        assert endpoints.find("us-east-1", name) == elsewhere.find("us-east-1", name) != found
        elsewhere.remove(arn)
        assert endpoints.find("us-east-1", name) is None


def test_a_plan_is_kept_as_json_and_read_again() -> None:
    assert EndpointPlan.from_document(json.loads(json.dumps(plan().document()))) == plan()


def test_copies_keep_their_names_while_their_number_changes() -> None:
    (fleet,) = plan().fleets
    (more,) = with_capacities(plan(), {"a": 3}, {"b": 2.0}).fleets
    assert (fleet.copies, more.copies) == (["endpoint-f.0", "endpoint-f.1"], [*fleet.copies, "endpoint-f.2"])


def test_a_model_made_anew_is_another_one() -> None:
    first, later = (key_of("arn:m", datetime(2026, 5, day, tzinfo=UTC)) for day in (1, 2))
    assert first != later


def test_a_model_that_was_not_made_ready_to_the_end_is_made_ready_anew(tmp_path: Path) -> None:
    assert HostedModel.read(tmp_path) is None
    made = HostedModel(by=ServedAs.PROGRAM, image_family="here", python="/usr/bin/python3")
    made.write(tmp_path)
    assert HostedModel.read(tmp_path) == made
    (tmp_path / "hosted.json").write_text("{")
    assert HostedModel.read(tmp_path) is None


def test_the_outermost_network_of_an_artifact_is_served(tmp_path: Path) -> None:
    for place in ("output/deep", "output"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "config.json").write_text("{}")
    assert hosted.root_of(tmp_path) == tmp_path / "output"
    assert hosted.root_of(tmp_path / "output" / "deep" / "nothing") == tmp_path / "output" / "deep" / "nothing"


@pytest.mark.parametrize(
    ("asked", "records"),
    [
        ({"TransformInput": {}}, [b"a\n\nbb\nc"]),
        ({"TransformInput": {"SplitType": "Line"}, "BatchStrategy": "SingleRecord"}, [b"a", b"bb", b"c"]),
        ({"TransformInput": {"SplitType": "Line"}}, [b"a\nbb\nc"]),
    ],
)
def test_the_records_of_an_object(asked: dict[str, Any], records: list[bytes]) -> None:
    assert transform_run.records_of(b"a\n\nbb\nc", asked) == records


def test_a_database_that_is_away_fails_no_change_of_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    house = MagicMock()  # whose endpoints would note a failure
    job = MagicMock()
    record = house.endpoints.get.return_value
    record.generation, record.status = 3, next(iter(IN_CHANGE))
    job.record.document = {"endpointArn": "arn:of-an-endpoint", "generation": 3}
    away = Unavailable("The database server does not answer.")
    monkeypatch.setattr(change_run._Change, "run", Mock(side_effect=away))
    with pytest.raises(Unavailable):
        change_run.run(house, job)
    house.endpoints.fail.assert_not_called()
    house.endpoints.serve.assert_not_called()


def test_no_link_is_followed_into_a_sandbox(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "real"))
        listening.listen()
        inward.connect(tmp_path, "real").close()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        (tmp_path / "file").touch()
        for name in ("link", "file", "nothing"):
            with pytest.raises(OSError, match=r"."):
                inward.connect(tmp_path, name)
