"""Training jobs of SageMaker in their pure parts: images, files of the contract, transitions, metrics, logs."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from outcrop.clock import SystemClock
from outcrop.errors import Invalid, MachineTrouble
from outcrop.log_groups.log_groups import LogGroups
from outcrop.sagemaker import checkpoints, environments, images, transitions
from outcrop.sagemaker.images import CodeLauncher, ImageFamily
from outcrop.sagemaker.job_folder import configuration
from outcrop.sagemaker.job_log import GROUP, JobLog
from outcrop.sagemaker.metric_definitions import MetricDefinitions
from outcrop.sagemaker.training_states import SecondaryStatus, TrainingStatus
from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support.training_programs import write_wheel

ACCOUNT = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
IMAGES = {
    f"{ACCOUNT}/pytorch-training:2.6.0-gpu-py312": "pytorch",
    f"{ACCOUNT}/pytorch-training:2.6-cpu-py312-ubuntu22.04-sagemaker": "pytorch",
    f"{ACCOUNT}/huggingface-pytorch-training:2.8.0-transformers4.56.2-gpu-py312-cu129-ubuntu22.04": "huggingface",
    "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3": "scikit-learn",
    "localhost:5000/team/pytorch-training": "pytorch",
    f"pytorch-training@sha256:{'0' * 64}": "pytorch",
}
T0 = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_stands_for_the_family_of_its_repository(image: str, tmp_path: Path) -> None:
    assert images.family_of(Settings(home=tmp_path), image).name == IMAGES[image]


@pytest.mark.parametrize("image", ["pytorch-training-mine:1", "", "a b", "x/pytorch-trainin:2", f"{ACCOUNT}/xgboost:1"])
def test_another_image_stands_for_nothing(image: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no environment stands for"):
        images.family_of(Settings(home=tmp_path), image)


def test_the_homes_own_table_comes_first_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    table, settings = tmp_path / images.FILE, Settings(home=tmp_path)
    table.write_text(
        '[[family]]\nname = "mine"\nrepositories = ["pytorch-training"]\nlauncher = "none"\npython = "/p"\n'
    )
    family = images.family_of(settings, "x/pytorch-training:1")
    assert (family.name, family.launcher, family.python) == ("mine", CodeLauncher.NONE, Path("/p"))
    assert images.family_of(settings, "x/sagemaker-scikit-learn:1").name == "scikit-learn"
    for text in (
        "[[family",
        '[[family]]\nname = "A b"\nrepositories = ["x"]\n',
        '[[family]]\nname = "a"\n',
        "family = 1",
    ):
        table.write_text(text)
        with pytest.raises(MachineTrouble, match="the table of images cannot be read"):
            images.family_of(settings, "x/pytorch-training:1")


def test_the_files_of_the_configuration_are_those_of_a_container() -> None:
    request = {
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "HyperParameters": {"epochs": "3"},
        "InputDataConfig": [
            {"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": {}}},
            {"ChannelName": "fast", "InputMode": "FastFile", "DataSource": {"S3DataSource": {}}},
        ],
    }
    usual = {"S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    found = configuration(request)
    assert found["hyperparameters.json"] == {"epochs": "3"}
    assert found["inputdataconfig.json"] == {
        "train": {"ContentType": "text/csv", "TrainingInputMode": "File", **usual},
        "fast": {"TrainingInputMode": "FastFile", **usual},
    }
    resources = found["resourceconfig.json"]
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert resources["instance_groups"][0]["instance_type"] == "ml.g5.xlarge"
    assert json.dumps(found)


def test_transitions_follow_each_other_in_time_and_a_new_sentence_replaces_the_old() -> None:
    passed = transitions.entered([], SecondaryStatus.STARTING, at=T0)
    passed = transitions.entered(passed, SecondaryStatus.STARTING, at=T0 + timedelta(seconds=1), sentence="Preparing")
    passed = transitions.entered(passed, SecondaryStatus.TRAINING, at=T0 + timedelta(seconds=2))
    document = {"transitions": passed, "endTime": (T0 + timedelta(seconds=5)).isoformat()}
    told = transitions.told(document, TrainingStatus.FAILED, created=T0, updated=T0)
    assert [(each["Status"], each["StatusMessage"]) for each in told] == [
        ("Starting", "Preparing"),
        ("Training", "Training image download completed. Training in progress."),
        ("Failed", "Training job failed"),
    ]
    assert [each["EndTime"] for each in told] == [T0 + timedelta(seconds=2), T0 + timedelta(seconds=5), None]


def test_a_job_that_waits_for_a_worker_is_starting() -> None:
    (only,) = transitions.told({"transitions": []}, TrainingStatus.IN_PROGRESS, created=T0, updated=T0)
    assert (only["Status"], only["StartTime"], only["EndTime"]) == ("Starting", T0, None)


def test_numbers_are_taken_from_lines_by_their_expressions() -> None:
    told = MetricDefinitions(
        [
            {"Name": "loss", "Regex": r"loss[:=]\s*([0-9.e+-]+)"},
            {"Name": "word", "Regex": r"epoch=(\w+)"},
            {"Name": "groupless", "Regex": "loss"},
        ]
    )
    assert [tuple(each) for each in told.numbers_in("epoch=one loss: 1.5e-2")] == [("loss", 0.015)]
    assert [tuple(each) for each in told.numbers_in("epoch=7")] == [("word", 7.0)]
    assert told.numbers_in("nothing") == []
    with pytest.raises(Invalid, match="Regex of broken is no regular expression"):
        MetricDefinitions([{"Name": "broken", "Regex": "("}])


@pytest.mark.parametrize("path", ["/opt/ml", "/opt/ml/../etc", "/etc/x", "checkpoints", "/tmp/c"])
def test_checkpoints_lie_below_opt_ml(path: str) -> None:
    with pytest.raises(Invalid, match="no folder below /opt/ml"):
        checkpoints.local_path({"CheckpointConfig": {"LocalPath": path}})


def test_checkpoints_lie_where_they_are_said_to() -> None:
    assert str(checkpoints.local_path({"CheckpointConfig": {}})) == "checkpoints"
    assert str(checkpoints.local_path({"CheckpointConfig": {"LocalPath": "/opt/ml/a/b/"}})) == "a/b"


def test_a_folder_of_checkpoints_that_a_script_has_replaced(tmp_path: Path) -> None:
    data: Any = None  # nothing is put, and nothing removed
    kept = checkpoints.Checkpoints(data, "s3://b/c", tmp_path / "checkpoints")
    assert kept.look() == 0
    (tmp_path / "checkpoints").symlink_to(tmp_path)
    with pytest.raises(Invalid, match="the script has put something else in the place of the folder"):
        kept.look()


class Logged:
    """A log of a job, as its successor would open it again."""

    def __init__(self, place: Path) -> None:
        self.file = place / "printed.log"
        self.heard: list[str] = []
        self._store = Store.open(Settings(home=place))
        self.groups = LogGroups(self._store, SystemClock(), place / "events")

    def open(self) -> JobLog:
        return JobLog(
            self.file,
            "job/algo-1",
            region="us-east-1",
            groups=self.groups,
            clock=SystemClock(),
            heard=self.heard.append,
        )

    def write(self, content: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(content)

    @property
    def events(self) -> list[str]:
        return [event.message for event in self.groups.events(GROUP, region="us-east-1")]


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return Logged(tmp_path)


def test_lines_are_told_once_they_have_ended(logged: Logged) -> None:
    log = logged.open()
    assert (log.resume(), log.pass_on()) == (0, 0)
    logged.write(b"one\n\ntw")
    assert log.pass_on() == 2
    logged.write(b"o\xff\nthree")
    assert log.pass_on() == 1
    assert log.pass_on(last=True) == 1
    assert logged.events == logged.heard == ["one", "", "two\ufffd", "three"]


def test_a_successor_goes_on_behind_the_last_line_that_was_told(logged: Logged) -> None:
    logged.write(b"".join(b"line %d\n" % number for number in range(5)))
    first = logged.open()
    first.resume()
    first.pass_on()
    logged.write(b"line 5\nline 6\npart")
    second = logged.open()
    assert second.resume() == 5
    assert second.pass_on() == 2
    logged.write(b" and rest\n")
    second.pass_on()
    assert logged.events == [*(f"line {number}" for number in range(7)), "part and rest"]


def test_a_line_that_is_too_long_is_several(logged: Logged) -> None:
    log = logged.open()
    logged.write(b"x" * 600_000 + b"\nend\n")
    log.pass_on()
    assert [len(line) for line in logged.events] == [262_144, 262_144, 75_712, 3]
    again = logged.open()
    assert again.resume() == 4
    assert again.pass_on() == 0


def test_a_group_that_somebody_has_deleted_is_made_again(logged: Logged) -> None:
    log = logged.open()
    logged.write(b"one\n")
    log.pass_on()
    logged.groups.delete(GROUP, region="us-east-1")
    logged.write(b"two\n")
    log.pass_on()
    assert logged.events == ["two"]


def test_an_environment_is_made_once_and_a_job_adds_to_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels, told = tmp_path / "wheels", list[str]()
    write_wheel(wheels, "tinytool", "said = 'once'")
    monkeypatch.setenv(environments.WHEELS, str(wheels))
    family = ImageFamily(
        name="tiny", repositories=("x",), launcher=CodeLauncher.SCRIPT, requirements=("tinytool==1.0",)
    )
    settings = Settings(home=tmp_path / "home")
    pythons = [environments.interpreter(settings, family, told=told.append) for _ in range(2)]
    assert pythons[0] == pythons[1]
    assert told == ["making the environment tiny with tinytool==1.0"]
    environments.make_over(pythons[0], tmp_path / "own")
    asked = [str(tmp_path / "own/bin/python"), "-c", "import pip, sys, tinytool; print(tinytool.said, sys.prefix)"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["once", str(tmp_path / "own")]
    assert pythons[0].stat().st_mode & 0o005 == 0o005, "programs of other users start it"


def test_an_environment_that_cannot_be_made_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv(environments.WHEELS, str(tmp_path / "wheels"))
    family = ImageFamily(
        name="tiny", repositories=("x",), launcher=CodeLauncher.SCRIPT, requirements=("nosuchtool==1",)
    )
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(MachineTrouble, match=r"The environment tiny cannot be made: .*nosuchtool"):
        environments.interpreter(settings, family, told=lambda _words: None)
    assert [path.name for path in (settings.home / "environments").iterdir() if path.is_dir()] == []
    gone = ImageFamily(name="gone", repositories=("x",), launcher=CodeLauncher.SCRIPT, python=tmp_path / "python")
    with pytest.raises(MachineTrouble, match="the interpreter of the environment gone is not there"):
        environments.interpreter(settings, gone, told=lambda _words: None)


def test_the_launcher_needs_nothing_but_the_standard_library() -> None:
    from outcrop.sagemaker.script import LAUNCHER

    imported = [line.split()[1] for line in LAUNCHER.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert set(imported) <= {
        "__future__", "collections.abc", "json", "os", "pathlib", "re", "shlex", "signal", "subprocess", "sys",
        "threading", "typing",
    }  # fmt: skip
    assert os.access(LAUNCHER, os.R_OK)
