"""The whole road on a Ray cluster of several nodes, one of which dies in the middle of a training.

The nodes are raylets of one machine, so the home is shared, and the records may be in SQLite.
"""

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from outcrop.machine.nodes import ClusterJob, ClusterStatus
from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.patience import eventually
from tests.support.ray_nodes import RayNode, RayNodes, ray_nodes
from tests.support.servers import Installed, installed, outcrop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'outcrop[ray]'"),
]
GIB = 2**30


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    with ray_nodes() as started:
        yield started


@pytest.fixture(scope="module")
def house(nodes: RayNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = with_tiny_models(tmp_path_factory.mktemp("shared") / "home")
    with installed(home, OUTCROP_CLUSTER=nodes.address) as made:
        s3 = made.client("s3")
        s3.create_bucket(Bucket="cluster")
        s3.put_object(Bucket="cluster", Key="train.jsonl", Body=pairs(120))
        s3.put_object(Bucket="cluster", Key="validation.jsonl", Body=pairs(8))
        yield made


def start(house: Installed, name: str, *, epochs: int = 4) -> str:
    job: str = house.client("bedrock").create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=house.role,
        baseModelIdentifier=TINY,
        trainingDataConfig={"s3Uri": "s3://cluster/train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": "s3://cluster/validation.jsonl"}]},
        outputDataConfig={"s3Uri": f"s3://cluster/{name}"},
        hyperParameters={
            "epochCount": str(epochs),
            "batchSize": "4",
            "learningRate": "0.001",
            "outcrop.evaluationsPerEpoch": "1",
        },
    )["jobArn"]
    return job


def ended(house: Installed, job: str) -> Any:
    bedrock = house.client("bedrock")
    eventually(lambda: bedrock.get_model_customization_job(jobIdentifier=job)["status"] != "InProgress", within_s=1200)
    return bedrock.get_model_customization_job(jobIdentifier=job)


def weights(house: Installed, job: Any) -> str:
    folder = house.settings.models / job["outputModelArn"].rsplit("/", 1)[-1]
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


def of_cluster(house: Installed, job: str) -> ClusterJob | None:
    status = ClusterStatus.read(house.settings.home)
    return next((each for each in status.jobs if each.arn == job), None) if status else None


def steps_done(house: Installed, job: str) -> int:
    s3 = house.client("s3")
    for item in s3.list_objects_v2(Bucket="cluster").get("Contents", []):
        if item["Key"].endswith(f"{job.rsplit('/', 1)[-1]}/training_artifacts/progress.json"):
            return int(json.loads(s3.get_object(Bucket="cluster", Key=item["Key"])["Body"].read())["step"])
    return 0


def test_the_road_from_data_to_an_invocation_over_a_node_that_dies(house: Installed, nodes: RayNodes) -> None:
    # Given a cluster whose only node is too small, a job waits and says for what
    small = nodes.add(num_cpus=1, memory_bytes=GIB // 16)
    eventually(lambda: small.id in nodes_of(house))
    job = start(house, "waiting", epochs=15)
    eventually(lambda: (seen := of_cluster(house, job)) is not None and seen.waits)
    told = json.loads(outcrop("doctor", "--json", "--home", str(house.settings.home)).stdout)["cluster"]
    assert "No node has 0.3 GiB of memory and 1 CPU." in told["jobs"][0]["waits"]
    assert small.id in {node["id"] for node in told["nodes"]}

    # when two nodes join, it runs on one of them
    joined = {node.id: node for node in (nodes.add(num_cpus=1, memory_bytes=GIB) for _ in range(2))}
    eventually(lambda: steps_done(house, job) > 20)
    first = node_of(house, job, joined)
    assert first is not None
    # and when that one is killed in the middle, the job goes on where the other is
    before = steps_done(house, job)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: node_of(house, job, joined) not in (None, first))
    eventually(lambda: steps_done(house, job) > before)

    # then it ends as one that nobody disturbed
    killed = ended(house, job)
    quiet = ended(house, start(house, "undisturbed", epochs=15))
    assert (killed["status"], quiet["status"]) == ("Completed", "Completed"), killed.get("failureMessage")
    assert weights(house, killed) == weights(house, quiet)
    assert killed["validationMetrics"] == quiet["validationMetrics"]
    assert list(house.settings.runs.iterdir()) == []

    # and its model answers
    bedrock = house.client("bedrock")
    deployment = bedrock.create_custom_model_deployment(
        modelDeploymentName="served", modelArn=killed["outputModelArn"]
    )["customModelDeploymentArn"]
    eventually(
        lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=deployment)["status"] == "Active"
    )
    answer = house.client("bedrock-runtime").converse(
        modelId=deployment,
        messages=[{"role": "user", "content": [{"text": "1 + 1"}]}],
        inferenceConfig={"maxTokens": 8},
    )
    assert answer["usage"]["outputTokens"] >= 1


def nodes_of(house: Installed) -> set[str]:
    status = ClusterStatus.read(house.settings.home)
    return {node.id for node in status.nodes} if status else set()


def node_of(house: Installed, job: str, known: dict[str, RayNode]) -> RayNode | None:
    """The node on which a job runs, as far as it runs."""
    status = ClusterStatus.read(house.settings.home)
    assert status is not None
    names = [each.node for each in status.jobs if each.arn == job]
    return next((known[node.id] for node in status.nodes if node.name in names and node.id in known), None)


def test_a_killed_launcher_costs_a_job_no_more_than_its_last_steps(house: Installed) -> None:
    job = start(house, "orphaned", epochs=60)
    eventually(lambda: steps_done(house, job) > 10)
    pid = house.pid_of("cluster")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    found = ended(house, job)
    assert found["status"] == "Completed", found.get("failureMessage")


def test_a_stopped_job_stops_on_its_node(house: Installed, tmp_path: Path) -> None:
    job = start(house, "stopped", epochs=500)
    eventually(lambda: steps_done(house, job) > 5)
    house.client("bedrock").stop_model_customization_job(jobIdentifier=job)
    eventually(lambda: house.client("bedrock").get_model_customization_job(jobIdentifier=job)["status"] == "Stopped")
    eventually(lambda: of_cluster(house, job) is None)
