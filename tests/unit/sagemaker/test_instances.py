"""Several instances of a training job in their pure parts: hosts, groups, shards, and torchrun's command."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.sagemaker import instances
from outcrop.sagemaker.job_folder import configuration
from outcrop.sagemaker.script import LAUNCHER

GB = 1 << 30
TWO = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}
GROUPS = {
    "InstanceGroups": [
        {"InstanceGroupName": "data", "InstanceType": "ml.c5.large", "InstanceCount": 1},
        {"InstanceGroupName": "train", "InstanceType": "ml.g5.xlarge", "InstanceCount": 2},
    ]
}


def channel(name: str = "train", **source: Any) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k", **source}},
    }


def request(resources: dict[str, Any], *channels: dict[str, Any], **parameters: str) -> dict[str, Any]:
    return {
        "ResourceConfig": resources,
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "HyperParameters": parameters,
        "InputDataConfig": list(channels),
    }


def test_each_instance_is_a_host_with_a_number_and_an_address() -> None:
    found = [(each.host, each.address, each.group, each.kind) for each in instances.instances_of(GROUPS)]
    assert found == [
        ("algo-1", "127.0.0.1", "data", "ml.c5.large"),
        ("algo-2", "127.0.0.2", "train", "ml.g5.xlarge"),
        ("algo-3", "127.0.0.3", "train", "ml.g5.xlarge"),
    ]
    assert [each.host for each in instances.instances_of({"InstanceType": "ml.m5.large"})] == ["algo-1"]


def test_a_host_finds_itself_and_the_others_in_its_configuration() -> None:
    asked = request(GROUPS, channel(InstanceGroupNames=["train"]), channel("all"))
    first, second, _ = instances.instances_of(GROUPS)
    assert list(configuration(asked, first)["inputdataconfig.json"]) == ["all"]
    own = configuration(asked, second)
    assert list(own["inputdataconfig.json"]) == ["train", "all"]
    assert own["resourceconfig.json"] == {
        "current_host": "algo-2",
        "current_instance_type": "ml.g5.xlarge",
        "current_group_name": "train",
        "hosts": ["algo-1", "algo-2", "algo-3"],
        "instance_groups": [
            {"instance_group_name": "data", "instance_type": "ml.c5.large", "hosts": ["algo-1"]},
            {"instance_group_name": "train", "instance_type": "ml.g5.xlarge", "hosts": ["algo-2", "algo-3"]},
        ],
        "network_interface_name": "lo",
    }


@pytest.mark.parametrize(
    ("resources", "source", "shards"),
    [
        (TWO, {}, ["abcde", "abcde"]),
        (TWO, {"S3DataDistributionType": "ShardedByS3Key"}, ["ace", "bd"]),
        (
            GROUPS,
            {"S3DataDistributionType": "ShardedByS3Key", "InstanceGroupNames": ["train"]},
            [None, "ace", "bd"],
        ),
    ],
)
def test_objects_are_replicated_or_sharded_over_those_that_get_the_channel(
    resources: dict[str, Any], source: dict[str, Any], shards: list[str | None]
) -> None:
    names = {f"s3://b/{each}": each for each in "abcde"}
    all_, wanted = instances.instances_of(resources), channel(**source)
    found = [
        "".join(instances.shard(names, wanted, each, all_).values()) if instances.has_channel(each, wanted) else None
        for each in all_
    ]
    assert found == shards


REFUSED = [
    ({"InstanceCount": 0}, "ResourceConfig.InstanceCount: 0 instances do nothing. Ask for 1 at least."),
    ({"InstanceCount": 9}, "ResourceConfig.InstanceCount: 9 instances would share 2 GB of this machine's memory, and each needs 512 MB. Ask for 4 at most."),
    ({**TWO, **GROUPS}, "ResourceConfig.InstanceGroups: not together with InstanceType and InstanceCount. Give one of both."),
    ({"InstanceGroups": [GROUPS["InstanceGroups"][0]] * 2}, "ResourceConfig.InstanceGroups: two groups have the same InstanceGroupName. Name each otherwise."),
    ({"InstanceGroups": [{"InstanceGroupName": "a", "InstanceType": "b", "InstanceCount": 0}]}, "ResourceConfig.InstanceGroups: 0 instances do nothing. Ask for 1 at least."),
]  # fmt: skip


@pytest.mark.parametrize(("resources", "sentence"), REFUSED)
def test_instances_that_cannot_be_had_are_refused(resources: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        instances.check(resources, memory_bytes=2 * GB)
    assert refused.value.message == sentence


def test_one_instance_is_to_be_had_however_little_memory_there_is() -> None:
    instances.check({"InstanceType": "ml.m5.large"}, memory_bytes=1)
    instances.check(GROUPS, memory_bytes=2 * GB)


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The launcher, as it is read in a sandbox whose /opt/ml is a folder here."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    specification = importlib.util.spec_from_file_location("launcher", LAUNCHER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "_num_gpus", lambda: 0)
    monkeypatch.setattr(module, "_beside", lambda name: name)
    return module


def command_of(launcher: ModuleType, host: int, resources: dict[str, Any], **parameters: str) -> str:
    """The command that the launcher makes on a host."""
    given = request(resources, sagemaker_program="train.py", sagemaker_torch_distributed_enabled="true", **parameters)
    launcher.CONFIG.mkdir(parents=True, exist_ok=True)
    for name, content in configuration(given, instances.instances_of(resources)[host]).items():
        (launcher.CONFIG / name).write_text(json.dumps(content))
    return " ".join(launcher.Job().command()).removeprefix(f"{launcher.sys.executable} ")


def test_torchrun_joins_the_hosts_as_the_toolkit_has_it(launcher: ModuleType) -> None:
    one = {"InstanceType": "ml.m5.large"}
    assert command_of(launcher, 0, one, a="1") == "torchrun --nnodes 1 --nproc_per_node 1 train.py -a 1"
    joined = "torchrun --nnodes 2 --nproc_per_node 1 --master_addr algo-1 --master_port 7777 --node_rank {} train.py"
    assert [command_of(launcher, host, TWO) for host in (0, 1)] == [joined.format(rank) for rank in (0, 1)]


def test_torchrun_joins_only_the_groups_that_are_named(launcher: ModuleType) -> None:
    named = {"sagemaker_distribution_instance_groups": '["train"]'}
    joined = "torchrun --nnodes 2 --nproc_per_node 1 --master_addr algo-2 --master_port 7777 --node_rank {} train.py"
    found = [command_of(launcher, host, GROUPS, **named) for host in range(3)]
    assert found == ["train.py", joined.format(0), joined.format(1)]
