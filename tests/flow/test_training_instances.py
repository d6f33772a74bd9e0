"""Training jobs of several instances: hosts that talk to each other, share data, and end together; and Pipe mode."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.clock import SystemClock
from outcrop.house import House
from tests.support.patience import eventually
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed
from tests.support.training_programs import BUCKET, TrainingJobs, name_environment

pytestmark = needs_sandbox
GROUP = "/aws/sagemaker/TrainingJobs"
TWO = {"InstanceCount": 2, "InstanceType": "ml.p4d.24xlarge", "VolumeSizeInGB": 5}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("instances") / "home"
    name_environment(home)
    with installed(home) as house:
        yield house


@pytest.fixture(scope="module")
def jobs(house: Installed) -> TrainingJobs:
    jobs = TrainingJobs(house, house.role)
    for number in range(4):
        jobs.put(f"numbers/{number}.txt", f"{number / 4}".encode())
    return jobs


def lines_of(house: Installed, job: str) -> dict[str, list[str]]:
    """The lines of a job's log, by host."""
    with House(house.settings, SystemClock()) as rooms:
        streams = [each for each in rooms.log_groups.streams(GROUP, region="us-east-1") if each.startswith(f"{job}/")]
        return {
            stream.partition("/")[2].rpartition("-")[0]: [
                event.message for event in rooms.log_groups.events(GROUP, region="us-east-1", stream=stream)
            ]
            for stream in streams
        }


def numbers(**source: Any) -> list[dict[str, Any]]:
    s3 = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/numbers/", **source}
    return [{"ChannelName": "train", "DataSource": {"S3DataSource": s3}}]


FITTING = """
import json, os, pathlib, torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
torch.set_num_threads(1)
host = os.environ["SM_CURRENT_HOST"]
join()
files = sorted(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
x = torch.tensor([[float(file.read_text())] for file in files])
torch.manual_seed(dist.get_rank())  # DDP gives all the weights of the first
model = DistributedDataParallel(torch.nn.Linear(1, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for step in range(300):
    optimizer.zero_grad()
    loss = ((model(x) - (3 * x + 1)) ** 2).mean()
    loss.backward()
    optimizer.step()
print(f"loss={loss.item():.6f};", flush=True)
told = {"files": [file.name for file in files], "weights": [each.item() for each in model.parameters()]}
folder = pathlib.Path(os.environ["SM_MODEL_DIR"])
(folder / f"{host}.json").write_text(json.dumps(told))
(folder / "last").write_text(host)
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], host).write_text("beside")
dist.destroy_process_group()
"""
BY_HAND = """
def join():
    import json, os
    import torch.distributed as dist
    hosts = json.loads(os.environ["SM_HOSTS"])
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["SM_NETWORK_INTERFACE_NAME"]
    rank = hosts.index(os.environ["SM_CURRENT_HOST"])
    dist.init_process_group("gloo", init_method=f"tcp://{hosts[0]}:29500", rank=rank, world_size=len(hosts))
"""
BY_TORCHRUN = """
def join():
    import torch.distributed as dist
    dist.init_process_group("gloo")
"""


def metric_dimensions(house: Installed) -> list[dict[str, str]]:
    found = house.client("cloudwatch").list_metrics(Namespace=GROUP, Dimensions=[{"Name": "Host"}])["Metrics"]
    return [{each["Name"]: each["Value"] for each in metric["Dimensions"]} for metric in found]


@pytest.mark.parametrize("launch", ["hand", "torchrun"])
def test_two_instances_train_one_model(launch: str, house: Installed, jobs: TrainingJobs) -> None:
    metric = {"Name": "loss", "Regex": "loss=([0-9.]+);"}
    algorithm = jobs.request(launch)["AlgorithmSpecification"] | {"MetricDefinitions": [metric]}
    job = jobs.run(
        launch,
        (BY_HAND if launch == "hand" else BY_TORCHRUN) + FITTING,
        parameters={"sagemaker_torch_distributed_enabled": "true"} if launch == "torchrun" else {},
        ResourceConfig=TWO,
        AlgorithmSpecification=algorithm,
        InputDataConfig=numbers(S3DataDistributionType="ShardedByS3Key"),
    )
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines_of(house, launch))
    assert job["ResourceConfig"] == TWO
    model = jobs.model(launch)
    assert sorted(model) == ["algo-1.json", "algo-2.json", "last"]
    one, two = (json.loads(model[f"{host}.json"]) for host in ("algo-1", "algo-2"))
    assert (one["files"], two["files"]) == (["0.txt", "2.txt"], ["1.txt", "3.txt"])
    assert one["weights"] == two["weights"] == pytest.approx([3, 1], abs=0.01)
    assert jobs.keys(f"out/{launch}/") == [f"out/{launch}/output/{name}.tar.gz" for name in ("model", "output")]
    lines = lines_of(house, launch)
    assert sorted(lines) == ["algo-1", "algo-2"]
    assert all(any(line.startswith("loss=0.0") for line in lines[host]) for host in lines)
    # Of a name that both have left, the first host's is kept, and that is told.
    assert model["last"] == b"algo-1"
    assert lines["algo-1"][-1] == "model.tar.gz: last: another instance has something of that name; it was left out."
    wanted = [{"TrainingJobName": launch, "Host": host} for host in lines]
    eventually(lambda: all(each in metric_dimensions(house) for each in wanted))  # points are written in turns


HOST = "import os, pathlib, signal, sys, time\nhost = os.environ['SM_CURRENT_HOST']\n"


def test_one_host_that_fails_ends_the_others_and_tells_why(house: Installed, jobs: TrainingJobs) -> None:
    script = (
        f"{HOST}pathlib.Path('/opt/ml/output/data', host).write_text('1')\n"
        "print('up', flush=True)\n"
        "if host == 'algo-2':\n    time.sleep(1)\n    raise KeyError('weights of the second')\ntime.sleep(600)"
    )
    job = jobs.run("one-fails", script, ResourceConfig=TWO)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n")
    assert "KeyError: 'weights of the second'" in job["FailureReason"]
    assert jobs.keys("out/one-fails/") == ["out/one-fails/output/output.tar.gz"]
    assert {host: lines.count("up") for host, lines in lines_of(house, "one-fails").items()} == {
        "algo-1": 1,
        "algo-2": 1,
    }


def test_the_job_goes_on_until_the_last_host_has_ended(jobs: TrainingJobs) -> None:
    script = (
        f"{HOST}import boto3\n"
        "if host == 'algo-2':\n    time.sleep(3)\n    boto3.client('s3').list_buckets()\n"
        "pathlib.Path('/opt/ml/model', host).touch()"
    )
    job = jobs.run("last-ends", script, ResourceConfig=TWO)
    assert job["TrainingJobStatus"] == "Completed", job
    assert sorted(jobs.model("last-ends")) == ["algo-1", "algo-2"]


def test_a_stop_reaches_every_host(jobs: TrainingJobs) -> None:
    script = (
        f"{HOST}def end(*_):\n    pathlib.Path('/opt/ml/model', host).write_text('kept')\n"
        "    sys.exit(0 if host == 'algo-1' else 1)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path('/opt/ml/checkpoints', host).touch()\ntime.sleep(600)"
    )
    jobs.start("stopped", script, ResourceConfig=TWO, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/two"})
    eventually(lambda: jobs.keys("checkpoints/two/") == ["checkpoints/two/algo-1", "checkpoints/two/algo-2"])
    jobs.sagemaker.stop_training_job(TrainingJobName="stopped")
    assert jobs.ended("stopped")["TrainingJobStatus"] == "Stopped"
    assert jobs.model("stopped") == {"algo-1": b"kept", "algo-2": b"kept"}


def test_instances_of_two_kinds_have_channels_of_their_own(jobs: TrainingJobs) -> None:
    groups = [
        {"InstanceGroupName": name, "InstanceType": kind, "InstanceCount": 1}
        for name, kind in (("data", "ml.c5.xlarge"), ("train", "ml.g5.xlarge"))
    ]
    script = (
        f"{HOST}told = (os.environ['SM_CURRENT_INSTANCE_GROUP'], os.environ['SM_CURRENT_INSTANCE_TYPE'],"
        " os.environ['SM_CHANNELS'])\npathlib.Path('/opt/ml/model', host).write_text(' '.join(told))"
    )
    (first,) = numbers(InstanceGroupNames=["train"])
    job = jobs.run(
        "groups", script, ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 5}, InputDataConfig=[first]
    )
    assert job["TrainingJobStatus"] == "Completed", job
    assert jobs.model("groups") == {"algo-1": b"data ml.c5.xlarge []", "algo-2": b'train ml.g5.xlarge ["train"]'}


AGAIN = """
kept = pathlib.Path("/opt/ml/checkpoints") / host
if kept.exists():
    pathlib.Path("/opt/ml/model", host).write_text(kept.read_text())
    sys.exit(0)
kept.write_text("begun")
time.sleep(5)  # the checkpoint is in S3 by now
os.rename("/opt/ml/input", "/opt/ml/input-before")
os.symlink(OUTSIDE, "/opt/ml/input")
print("replaced", flush=True)
time.sleep(600)
"""


def test_a_killed_worker_begins_all_hosts_again_and_follows_no_link_of_theirs(
    house: Installed, jobs: TrainingJobs, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    script = HOST + AGAIN.replace("OUTSIDE", repr(str(outside)))
    jobs.start("again", script, ResourceConfig=TWO, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/again/"})
    eventually(lambda: sum("replaced" in lines for lines in lines_of(house, "again").values()) == 2)
    worker = house.pid_of("light-worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    job = jobs.ended("again")  # configuration and channels were written anew
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines_of(house, "again"))
    assert jobs.model("again") == {"algo-1": b"begun", "algo-2": b"begun"}
    assert list(outside.iterdir()) == []


def test_a_channel_is_given_through_pipes(jobs: TrainingJobs) -> None:
    script = (
        "import json, os\ntold = {}\n"
        "for epoch in range(3):\n"
        "    with open(f'/opt/ml/input/data/train_{epoch}') as pipe: told[epoch] = pipe.read()\n"
        "told['channels'] = json.load(open('/opt/ml/input/config/inputdataconfig.json'))\n"
        "json.dump(told, open('/opt/ml/model/told', 'w'))"
    )
    (channel,) = numbers()
    job = jobs.run("piped", script, InputDataConfig=[channel | {"InputMode": "Pipe"}])
    assert job["TrainingJobStatus"] == "Completed", job
    told = json.loads(jobs.model("piped")["told"])
    assert [told[str(epoch)] for epoch in range(3)] == ["0.00.250.50.75"] * 3
    assert told["channels"]["train"]["TrainingInputMode"] == "Pipe"


def test_data_that_goes_while_it_is_given_ends_in_a_reason(jobs: TrainingJobs) -> None:
    jobs.put("going/a", b"1")
    script = (
        "import time, boto3\nboto3.client('s3').delete_object(Bucket='training', Key='going/a')\n"
        "open('/opt/ml/input/data/train_0').read()\ntime.sleep(600)"
    )
    (channel,) = numbers(S3Uri=f"s3://{BUCKET}/going/")
    job = jobs.run("going", script, InputDataConfig=[channel | {"InputMode": "Pipe"}])
    assert job["FailureReason"].startswith("ClientError: Data download failed:")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"ResourceConfig": {**TWO, "InstanceCount": 0}}, "ResourceConfig.InstanceCount: 0 instances"),
    "too-many": ({"ResourceConfig": {**TWO, "InstanceCount": 5000}}, "5000 instances would share"),
    "group": ({"ResourceConfig": TWO, "InputDataConfig": numbers(InstanceGroupNames=["x"])}, "there is no group x"),
    "mpi": ({"ResourceConfig": TWO, "HyperParameters": {"sagemaker_mpi_enabled": "true"}}, "sagemaker_mpi_enabled: there is no MPI"),
    "ddp": ({"HyperParameters": {"sagemaker_pytorch_ddp_enabled": "true"}}, "it is started by MPI"),
}  # fmt: skip


@pytest.mark.parametrize("member", REFUSED)
def test_what_would_not_be_done_is_refused_at_once(member: str, jobs: TrainingJobs) -> None:
    members, sentence = REFUSED[member]
    with pytest.raises(ClientError, match=sentence):
        jobs.sagemaker.create_training_job(**jobs.request(f"refused-{member}", **members))
