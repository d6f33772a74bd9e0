"""Training jobs of SageMaker from request to model: the contract of /opt/ml, stops, kills, and what goes wrong."""

import json
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from outcrop.clock import SystemClock
from outcrop.house import House
from tests.support.patience import eventually
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed
from tests.support.training_programs import BUCKET, TrainingJobs, archive, name_environment, write_wheel

pytestmark = needs_sandbox


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    place = tmp_path_factory.mktemp("training")
    home = place / "home"
    name_environment(home)
    write_wheel(place / "wheels", "tinytool", "said = 'from a wheel'")
    with installed(home, OUTCROP_WHEELS=str(place / "wheels")) as house:
        yield house


@pytest.fixture(scope="module")
def jobs(house: Installed) -> TrainingJobs:
    return TrainingJobs(house, house.role)


def lines_of(house: Installed, job: str) -> list[str]:
    """The lines of a job's log."""
    with House(house.settings, SystemClock()) as rooms:
        group = "/aws/sagemaker/TrainingJobs"
        (stream,) = [name for name in rooms.log_groups.streams(group, region="us-east-1") if name.startswith(f"{job}/")]
        return [event.message for event in rooms.log_groups.events(group, region="us-east-1", stream=stream)]


WHOLE = """
import argparse, json, os, pathlib, boto3
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--name")
asked = parser.parse_args()
data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
for epoch in range(asked.epochs):
    print(f"epoch={epoch} loss={1 / (epoch + 1):.2f};")
told = {
    "files": sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()),
    "arguments": vars(asked), "hps": json.loads(os.environ["SM_HPS"]), "host": os.environ["SM_CURRENT_HOST"],
    "job": os.environ["TRAINING_JOB_NAME"], "mine": os.environ["MINE"], "folder": os.getcwd(),
    "objects": boto3.client("s3").list_objects_v2(Bucket="training", Prefix="data/")["KeyCount"],
    "who": boto3.client("sts").get_caller_identity()["Arn"], "type": os.environ["SM_CURRENT_INSTANCE_TYPE"],
}
pathlib.Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "more.txt").write_text("beside")
"""


def test_a_script_finds_what_it_was_promised_and_its_model_is_kept(house: Installed, jobs: TrainingJobs) -> None:
    metric = {"Name": "loss", "Regex": "loss=([0-9.]+);"}
    algorithm = jobs.request("whole")["AlgorithmSpecification"] | {"MetricDefinitions": [metric]}
    given = {"epochs": "2", "name": '"a b"'}
    job = jobs.run("whole", WHOLE, parameters=given, AlgorithmSpecification=algorithm, Environment={"MINE": "yes"})
    assert job["TrainingJobStatus"] == "Completed", job
    told = json.loads(jobs.model("whole")["told.json"])
    assert told["files"] == ["a.txt", "deep/b.txt"]
    assert told["arguments"] == told["hps"] == {"epochs": 2, "name": "a b"}
    assert (told["host"], told["job"], told["mine"]) == ("algo-1", "whole", "yes")
    assert (told["folder"], told["objects"], told["type"]) == ("/opt/ml/code", 2, "ml.m5.xlarge")
    assert told["who"].endswith("/SageMaker")
    assert jobs.keys("out/whole/") == ["out/whole/output/model.tar.gz", "out/whole/output/output.tar.gz"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/whole/output/model.tar.gz"
    passed = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert passed == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    (last,) = job["FinalMetricDataList"]
    assert (last["MetricName"], last["Value"]) == ("loss", 0.5)
    assert [line for line in lines_of(house, "whole") if "loss" in line] == ["epoch=0 loss=1.00;", "epoch=1 loss=0.50;"]


def test_loose_files_are_put_where_no_archive_is_wanted(jobs: TrainingJobs) -> None:
    script = "import pathlib; pathlib.Path('/opt/ml/model/deep').mkdir(); pathlib.Path('/opt/ml/model/deep/w').write_text('1')"
    output = {"S3OutputPath": f"s3://{BUCKET}/out", "CompressionType": "NONE"}
    job = jobs.run("loose", script, OutputDataConfig=output)
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/out/loose/output/model/")
    assert jobs.keys("out/loose/") == ["out/loose/output/model/deep/w"]


def test_a_script_that_fails_tells_why(jobs: TrainingJobs) -> None:
    job = jobs.run(
        "failing", "import pathlib\npathlib.Path('/opt/ml/output/data/x').write_text('1')\nraise KeyError('weights')"
    )
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage \"KeyError: 'weights'"
    )
    assert job["FailureReason"].endswith(", exit code: 1")
    assert jobs.keys("out/failing/") == ["out/failing/output/output.tar.gz"]


def test_a_job_that_is_stopped_hears_it_and_keeps_its_model(jobs: TrainingJobs) -> None:
    script = (
        "import signal, sys, time, pathlib\n"
        "def end(*_):\n    pathlib.Path('/opt/ml/model/w').write_text('kept'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\npathlib.Path('/opt/ml/checkpoints/begun').touch()\ntime.sleep(600)"
    )
    jobs.start("stopped", script, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/stopped"})
    eventually(lambda: jobs.keys("checkpoints/stopped/"))
    jobs.sagemaker.stop_training_job(TrainingJobName="stopped")
    assert jobs.describe("stopped")["TrainingJobStatus"] == "Stopping"
    job = jobs.ended("stopped")
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert jobs.model("stopped") == {"w": b"kept"}
    with pytest.raises(ClientError, match="status Stopped"):
        jobs.sagemaker.stop_training_job(TrainingJobName="stopped")


def test_a_job_whose_time_is_over_is_stopped(jobs: TrainingJobs) -> None:
    script = "import time, pathlib; pathlib.Path('/opt/ml/model/w').write_text('kept'); time.sleep(600)"
    job = jobs.run("late", script, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert jobs.model("late") == {"w": b"kept"}


COUNTING = """
import os, pathlib, time
kept = pathlib.Path("/opt/ml/checkpoints/step")
first = int(kept.read_text()) if kept.exists() else 0
print(f"begins at {first}")
for step in range(first + 1, 41):
    print(f"step {step}")
    new = kept.with_suffix(".new")
    new.write_text(str(step)); new.replace(kept)
    time.sleep(0.25)
pathlib.Path("/opt/ml/model/last").write_text(kept.read_text())
"""


def test_a_training_killed_with_its_worker_goes_on_from_its_checkpoint(house: Installed, jobs: TrainingJobs) -> None:
    prefix = "checkpoints/killed/step"
    jobs.start("killed", COUNTING, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/killed/"})
    eventually(lambda: prefix in jobs.keys(prefix) and int(jobs.read(prefix)) > 3)
    worker = house.pid_of("light-worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    job = jobs.ended("killed")
    assert job["TrainingJobStatus"] == "Completed", job
    assert jobs.model("killed") == {"last": b"40"}
    passed = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert passed[-6:] == ["Training", "Restarting", "Downloading", "Training", "Uploading", "Completed"]
    lines = lines_of(house, "killed")
    first, again = (at for at, line in enumerate(lines) if line.startswith("begins at"))
    kept = int(lines[again].rsplit(" ", 1)[1])
    assert kept > 3
    before, after = (
        [int(line.rsplit(" ", 1)[1]) for line in part if line.startswith("step ")]
        for part in (lines[first:again], lines[again:])
    )
    # What was printed before the kill is there once and without a gap, and then what was printed after it.
    assert before == list(range(1, len(before) + 1))
    assert len(before) >= kept
    assert after == list(range(kept + 1, 41))


ISOLATED = """
import json, os, pathlib, socket
reached = []
for place in (("127.0.0.1", int(os.environ["PORT"])), ("192.0.2.1", 80), ("1.1.1.1", 53)):
    try:
        socket.create_connection(place, timeout=2).close()
        reached.append(place)
    except OSError:
        pass
interfaces = sorted(name for _, name in socket.if_nameindex())
keys = sorted(name for name in os.environ if name.startswith("AWS_") and "REGION" not in name)
told = {"reached": reached, "interfaces": interfaces, "keys": keys}
pathlib.Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
"""


@pytest.mark.parametrize(
    ("name", "asked", "reached"),
    [
        ("alone", {"EnableNetworkIsolation": True}, 0),
        ("in-a-vpc", {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}, 1),
    ],
)
def test_a_script_that_asks_for_isolation_has_no_network(
    name: str, asked: dict[str, Any], reached: int, house: Installed, jobs: TrainingJobs
) -> None:
    port = {"PORT": str(house.settings.port)}
    assert jobs.run(name, ISOLATED, Environment=port, **asked)["TrainingJobStatus"] == "Completed"
    told = json.loads(jobs.model(name)["told.json"])
    assert told["interfaces"] == ["lo"]
    assert len(told["reached"]) == reached, "with a VpcConfig this installation alone, which is where its S3 is"
    assert (told["keys"] == []) == (not reached)


def test_a_program_that_is_no_script_of_the_toolkit_runs_as_it_is_called(jobs: TrainingJobs) -> None:
    shell = "python3 -c 'import sys; print(sys.prefix)' && cat /opt/ml/input/data/train/a.txt > /opt/ml/model/copy"
    algorithm = jobs.request("entry")["AlgorithmSpecification"]
    algorithm |= {"ContainerEntrypoint": ["/bin/bash"], "ContainerArguments": ["-c", shell]}
    jobs.sagemaker.create_training_job(**jobs.request("entry", AlgorithmSpecification=algorithm))
    assert jobs.ended("entry")["TrainingJobStatus"] == "Completed"
    assert jobs.model("entry") == {"copy": b"first\n"}


def test_requirements_are_installed_for_one_job_alone(house: Installed, jobs: TrainingJobs) -> None:
    script = "import pathlib, tinytool; pathlib.Path('/opt/ml/model/said').write_text(tinytool.said)"
    job = jobs.run("required", script, files={"requirements.txt": "tinytool==1.0\n"})
    assert job["TrainingJobStatus"] == "Completed", lines_of(house, "required")
    assert jobs.model("required") == {"said": b"from a wheel"}
    assert any("Successfully installed tinytool-1.0" in line for line in lines_of(house, "required"))
    job = jobs.run("without", script)
    assert "ModuleNotFoundError: No module named 'tinytool'" in job["FailureReason"]
    job = jobs.run("unknown", script, files={"requirements.txt": "nosuchtool==1.0\n"})
    assert job["FailureReason"].startswith("AlgorithmError: InstallRequirementsError: requirements.txt: pip cannot")
    assert any("nosuchtool" in line for line in lines_of(house, "unknown"))


LINK = tarfile.TarInfo("train.py")
LINK.type, LINK.linkname = tarfile.SYMTYPE, "/etc/passwd"
BAD_CODE = {
    "link": (archive({}, LINK), "ClientError: Data download failed:"),
    "outside": (archive({"../train.py": "1"}), "ClientError: Data download failed:"),
    "absolute": (archive({"/opt/train.py": "1"}), "ClientError: Data download failed:"),
    "no-archive": (b"print(1)", "ClientError: Data download failed:"),
    "no-entry-point": (
        archive({"other.py": "1"}),
        'AlgorithmError: ClientError:\nExitCode 1\nErrorMessage "train.py is not in',
    ),
}


@pytest.mark.parametrize("fault", BAD_CODE)
def test_bad_code_ends_in_a_reason(fault: str, jobs: TrainingJobs) -> None:
    content, reason = BAD_CODE[fault]
    jobs.put(f"code/{fault}.tar.gz", content)
    given = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{BUCKET}/code/{fault}.tar.gz"}
    jobs.sagemaker.create_training_job(**jobs.request(fault, HyperParameters=given))
    job = jobs.ended(fault)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason), job["FailureReason"]


def test_data_that_is_not_there_ends_in_a_reason(jobs: TrainingJobs) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/nowhere/"}
    channels = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    job = jobs.run("dataless", "print(1)", InputDataConfig=channels)
    assert job["FailureReason"].startswith("ClientError: Data download failed:InputDataConfig: the channel train")


LISTING = "import os, pathlib; pathlib.Path('/opt/ml/model/l').write_text(str(sorted(os.listdir('/opt/ml/input/data/train'))))"


@pytest.mark.parametrize("uri", ["data", "data/", "data/a.txt", "manifest.json"])
def test_a_channel_is_a_folder_an_object_or_a_manifest(uri: str, jobs: TrainingJobs) -> None:
    jobs.put("manifest.json", json.dumps([{"prefix": f"s3://{BUCKET}/data/"}, "a.txt", "deep/b.txt"]).encode())
    kind = "ManifestFile" if uri == "manifest.json" else "S3Prefix"
    source = {"S3DataType": kind, "S3Uri": f"s3://{BUCKET}/{uri}"}
    name = f"channel-{len(uri)}"
    jobs.run(name, LISTING, InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    expected = ["a.txt"] if uri == "data/a.txt" else ["a.txt", "deep"]
    assert jobs.model(name) == {"l": str(expected).encode()}


def test_a_manifest_that_is_none_ends_in_a_reason(jobs: TrainingJobs) -> None:
    jobs.put("no-manifest.json", b'["a.txt"]')
    source = {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/no-manifest.json"}
    channels = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    assert "no manifest" in jobs.run("manifestless", "print(1)", InputDataConfig=channels)["FailureReason"]


def test_an_expression_that_never_ends_fails_its_job_alone(jobs: TrainingJobs) -> None:
    metric = {"Name": "slow", "Regex": "(a+)+b$()"}
    algorithm = jobs.request("slow")["AlgorithmSpecification"] | {"MetricDefinitions": [metric]}
    job = jobs.run(
        "slow", "import time\nprint('a' * 3000, flush=True)\ntime.sleep(600)", AlgorithmSpecification=algorithm
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert "the expression of slow took more than 1 s" in job["FailureReason"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "image": ({"AlgorithmSpecification": {"TrainingImage": "me/mine:1", "TrainingInputMode": "File"}}, "no environment stands for"),
    "key": ({"OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/", "KmsKeyId": "k"}}, "Key 'k' does not exist"),
    "role": ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume"),
    "checkpoints": ({"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/etc"}}, "no folder below /opt/ml"),
}  # fmt: skip


@pytest.mark.parametrize("member", REFUSED)
def test_what_would_not_be_done_is_refused_at_once(member: str, jobs: TrainingJobs) -> None:
    members, sentence = REFUSED[member]
    with pytest.raises(ClientError, match=sentence) as refused:
        jobs.sagemaker.create_training_job(**jobs.request(f"refused-{member}", **members))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_names_are_taken_once_and_jobs_are_found_by_them(jobs: TrainingJobs) -> None:
    jobs.run("found-1", "print(1)", Tags=[{"Key": "a", "Value": "b"}])
    with pytest.raises(ClientError) as taken:
        jobs.start("found-1", "print(1)")
    assert taken.value.response["Error"]["Code"] == "ResourceInUse"
    for operation in ("describe_training_job", "stop_training_job"):
        with pytest.raises(ClientError, match="Requested resource not found") as unknown:
            getattr(jobs.sagemaker, operation)(TrainingJobName="nowhere")
        assert unknown.value.response["Error"]["Code"] == "ValidationException"
    listed = jobs.sagemaker.list_training_jobs(NameContains="FOUND", SortBy="Name", SortOrder="Ascending")
    (summary,) = listed["TrainingJobSummaries"]
    assert (summary["TrainingJobName"], summary["TrainingJobStatus"]) == ("found-1", "Completed")
    place = summary["TrainingJobArn"]
    assert jobs.sagemaker.list_tags(ResourceArn=place)["Tags"] == [{"Key": "a", "Value": "b"}]
    jobs.sagemaker.add_tags(ResourceArn=place, Tags=[{"Key": "c", "Value": "d"}])
    jobs.sagemaker.delete_tags(ResourceArn=place, TagKeys=["a"])
    assert jobs.sagemaker.list_tags(ResourceArn=place)["Tags"] == [{"Key": "c", "Value": "d"}]
    jobs.sagemaker.delete_training_job(TrainingJobName="found-1")
    with pytest.raises(ClientError, match="Requested resource not found"):
        jobs.describe("found-1")


def test_pages_of_jobs_follow_each_other(jobs: TrainingJobs) -> None:
    everything = jobs.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    pages = jobs.sagemaker.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2})
    assert [each for page in pages for each in page["TrainingJobSummaries"]] == everything


def test_a_job_leaves_nothing_of_its_folder(house: Installed, jobs: TrainingJobs) -> None:
    jobs.run("tidied", "import os, pathlib\nos.mkdir('/opt/ml/model/d', 0o000)")
    eventually(lambda: not list(Path(house.settings.runs).glob("training-*")))


def test_the_credentials_of_a_script_end_with_its_job(house: Installed, jobs: TrainingJobs) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    script = f"import json, os; json.dump([os.environ[name] for name in {names}], open('/opt/ml/model/keys', 'w'))"
    jobs.run("keyed", script)
    key_id, secret, token = json.loads(jobs.model("keyed")["keys"])
    sts = boto3.client(
        "sts",
        endpoint_url=house.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )

    def is_refused() -> bool:
        try:
            sts.get_caller_identity()
        except ClientError as refused:
            return bool(refused.response["Error"]["Code"] == "InvalidClientTokenId")
        return False

    eventually(is_refused)
