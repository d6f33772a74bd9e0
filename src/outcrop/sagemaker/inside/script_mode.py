"""The launcher of a training script, as SageMaker's training toolkit starts it: `python script_mode.py` in the sandbox.

It runs with the interpreter of the job's environment, on the standard library alone, and imports nothing of Outcrop.
The code lies in /opt/ml/code already. What it does is that of sagemaker-training 5.1.4: hyperparameters as JSON or
text, the SM_* variables, the requirements of the code, arguments in the order of their names, and the file `failure`.

https://github.com/aws/sagemaker-training-toolkit
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OPT_ML = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
CODE = OPT_ML / "code"
CONFIG = OPT_ML / "input" / "config"
OUTPUT = OPT_ML / "output"
_RESERVED = "sagemaker_"
_OBJECTIVE = "_tuning_objective_metric"
_ERROR = re.compile(r"^(\w+\.)*\w*(Error|Exception|Interrupt)\b")
_MOST_ERROR_LETTERS = 4000
_PORT = "7777"
"Where torchrun's processes of several hosts find each other, as the toolkit has it."
_KILLED, _NOT_STARTED = 137, 127


class Job:
    """The job as its launcher knows it: the three files of the configuration, and the code."""

    def __init__(self) -> None:
        self.given = _read("hyperparameters.json")
        self.resources = _read("resourceconfig.json")
        self.channels = _read("inputdataconfig.json")
        values = {name: _value(text) for name, text in self.given.items()}
        self.own = {name: value for name, value in values.items() if not _is_reserved(name)}
        self.reserved = {name: value for name, value in values.items() if _is_reserved(name)}
        self.program = str(self.reserved.get("sagemaker_program", ""))
        self.host = self.resources["current_host"]
        self.hosts = self.resources["hosts"]

    @property
    def module(self) -> str:
        return self.program[: -len(".py")] if self.program.endswith(".py") else self.program

    def variables(self) -> dict[str, str]:
        """The SM_* variables, and those that have no such prefix."""
        groups = self.resources.get("instance_groups", [])
        by_name = {group["instance_group_name"]: group for group in groups}
        group = self.resources.get("current_group_name", "homogeneousCluster")
        own_hosts = by_name.get(group, {}).get("hosts", self.hosts)
        directories = {name: str(OPT_ML / "input" / "data" / name) for name in self.channels}
        facts = {
            "hosts": self.hosts,
            "network_interface_name": self.resources["network_interface_name"],
            "hps": self.own,
            "user_entry_point": self.program,
            "framework_params": self.framework_parameters(),
            "resource_config": self.resources,
            "input_data_config": self.channels,
            "output_data_dir": str(OUTPUT / "data"),
            "channels": sorted(directories),
            "current_host": self.host,
            "current_instance_type": self.resources.get("current_instance_type", "local"),
            "current_instance_group": group,
            "current_instance_group_hosts": own_hosts,
            "instance_groups": sorted(by_name),
            "instance_groups_dict": by_name,
            "distribution_instance_groups": [],
            "is_hetero": len(by_name) > 1,
            "module_name": self.module,
            "log_level": self.reserved.get("sagemaker_container_log_level", 20),
            "framework_module": os.environ.get("SAGEMAKER_TRAINING_MODULE"),
            "input_dir": str(OPT_ML / "input"),
            "input_config_dir": str(CONFIG),
            "output_dir": str(OUTPUT),
            "num_cpus": len(os.sched_getaffinity(0)),
            "num_gpus": _num_gpus(),
            "num_neurons": 0,
            "model_dir": str(OPT_ML / "model"),
            "module_dir": str(self.reserved.get("sagemaker_submit_directory", CODE)),
            "user_args": self.arguments(),
            "output_intermediate_dir": str(OUTPUT / "intermediate"),
        }
        facts["training_env"] = self.training_environment(facts, directories)
        facts.update({"channel_" + name: path for name, path in directories.items()})
        facts.update({"hp_" + name: value for name, value in self.own.items()})
        found = {"SM_" + name.upper(): _as_variable(value) for name, value in facts.items()}
        found["SAGEMAKER_JOB_NAME"] = str(self.reserved.get("sagemaker_job_name") or os.environ["TRAINING_JOB_NAME"])
        found["SAGEMAKER_REGION"] = str(self.reserved.get("sagemaker_region") or os.environ["AWS_REGION"])
        found["CURRENT_HOST"] = self.host
        return found

    def framework_parameters(self) -> dict[str, Any]:
        """The reserved values that stand for a framework's own launcher."""
        own = ("sagemaker_program", "sagemaker_submit_directory", "sagemaker_container_log_level", "sagemaker_job_name",
               "sagemaker_region", _OBJECTIVE)  # fmt: skip
        return {name: value for name, value in self.reserved.items() if name not in own}

    def training_environment(self, facts: dict[str, Any], directories: dict[str, str]) -> dict[str, Any]:
        names = (
            "current_host", "current_instance_group", "current_instance_group_hosts", "current_instance_type",
            "distribution_instance_groups", "framework_module", "hosts", "input_config_dir", "input_data_config",
            "input_dir", "instance_groups", "instance_groups_dict", "is_hetero", "log_level", "model_dir", "module_dir",
            "module_name", "network_interface_name", "num_cpus", "num_gpus", "num_neurons", "output_data_dir",
            "output_dir", "output_intermediate_dir", "resource_config", "user_entry_point",
        )  # fmt: skip
        return {
            **{name: facts[name] for name in names},
            "additional_framework_parameters": facts["framework_params"],
            "channel_input_dirs": directories,
            "hyperparameters": self.own,
            "is_master": self.host == self.hosts[0],
            "job_name": str(self.reserved.get("sagemaker_job_name") or os.environ["TRAINING_JOB_NAME"]),
            "master_hostname": self.hosts[0],
            "distribution_hosts": [],
            "is_modelparallel_enabled": None,
            "is_smddpmprun_installed": False,
            "is_smddprun_installed": False,
            "topology": [],
        }

    def arguments(self) -> list[str]:
        """The hyperparameters as arguments, in the order of their names."""
        found = []
        for name in sorted(self.own):
            value = self.own[name]
            if isinstance(value, dict):
                text = ",".join(f"{key}={each}" for key, each in sorted(value.items()))
            else:
                text = "" if value is None else str(value)
            found += [("--" if len(name) > 1 else "-") + name, text]
        return found

    def command(self) -> list[str]:
        """The command that runs the code: a module of Python, or a program of the shell."""
        if self.reserved.get("sagemaker_torch_distributed_enabled") is True and self.host in self.joined_hosts():
            return [*self.torchrun(), self.program, *self.arguments()]
        if (CODE / "setup.py").exists():
            return [sys.executable, "-m", self.module, *self.arguments()]
        if self.program.endswith(".py"):
            return [sys.executable, self.program, *self.arguments()]
        words = " ".join(shlex.quote(each) for each in self.arguments())
        return ["/bin/sh", "-c", f"./{self.program} {words}"]

    def joined_hosts(self) -> list[str]:
        """The hosts whose processes torchrun joins: all, or those of the groups that are named."""
        named = self.reserved.get("sagemaker_distribution_instance_groups")
        groups = self.resources.get("instance_groups", [])
        joined = [host for group in groups if group["instance_group_name"] in (named or []) for host in group["hosts"]]
        return joined if named else self.hosts

    def torchrun(self) -> list[str]:
        """The command of PyTorch's launcher for this host, before the program."""
        hosts = self.joined_hosts()
        num_processes = max(1, _num_gpus())
        launcher = [_beside("torchrun"), "--nnodes", str(len(hosts)), "--nproc_per_node", str(num_processes)]
        if len(hosts) == 1:
            return launcher
        first = ["--master_addr", hosts[0], "--master_port", _PORT]
        return [*launcher, *first, "--node_rank", str(hosts.index(self.host))]


def main() -> int:
    job = Job()
    os.environ.update(job.variables())
    os.environ["PYTHONPATH"] = ":".join([str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])])
    for folder in (OUTPUT / "data", OUTPUT / "intermediate", OPT_ML / "model"):
        folder.mkdir(parents=True, exist_ok=True)
    if not job.program:
        return _fail("ClientError", 1, "The hyperparameter sagemaker_program names no entry point.", "", "")
    if not (CODE / job.program).exists():
        said = f"{job.program} is not in the code of this job. Name a file at the top of source_dir."
        return _fail("ClientError", 1, said, "", "")
    for kind, command in _preparing():
        code, said = _run(command)
        if code:
            return _fail(kind, code, said, "", " ".join(command))
    command = job.command()
    shown = " ".join(command)
    print(f"Invoking user script\n\nSM_USER_ARGS={os.environ['SM_USER_ARGS']}\n\n{shown}\n", flush=True)
    code, said = _run(command)
    if code:
        killed = code in (_KILLED, -signal.SIGKILL)
        more = "OutOfMemory: Process killed by SIGKILL (signal 9)" if killed else ""
        return _fail("ExecuteUserScriptError", _KILLED if killed else code, said, more, " ".join(command))
    (OUTPUT / "success").touch()
    return 0


def _preparing() -> Iterator[tuple[str, list[str]]]:
    """The installations before the code runs, with the name of the error of each."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    if (CODE / "requirements.txt").exists() and not os.environ.get("OUTCROP_REQUIREMENTS_INSTALLED"):
        yield "InstallRequirementsError", [*pip, "-r", str(CODE / "requirements.txt")]
    if (CODE / "setup.py").exists():
        yield "InstallModuleError", [*pip, "--no-deps", "--no-build-isolation", str(CODE)]


def _run(command: list[str]) -> tuple[int, str]:
    """The exit code of a command, and what its errors say; both its streams are passed on as they come."""
    try:
        process = subprocess.Popen(command, cwd=str(CODE), stderr=subprocess.PIPE, start_new_session=True)
    except OSError as error:
        return _NOT_STARTED, f"{command[0]} could not be started: {error.strerror}"
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(process.pid, signal.SIGTERM))
    errors = []

    def pass_on() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            errors.append(line)
            if len(errors) > 2000:
                del errors[:1000]

    passing = threading.Thread(target=pass_on)
    passing.start()
    code = process.wait()
    passing.join(5)  # a process that the script left behind may hold the stream open
    return code, _told(b"".join(errors).decode(errors="replace"))


def _told(text: str) -> str:
    """The errors that were printed, from the first line on that names one."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if _ERROR.match(line)), None)
    return "" if first is None else "\n".join(lines[first:])[:_MOST_ERROR_LETTERS].strip()


def _fail(kind: str, code: int, said: str, more: str, command: str) -> int:
    extra = f'\nExtraInfo "{more}"' if more else ""
    shown = f'\nCommand "{command}"' if command else ""
    text = f'{kind}:\nExitCode {code}\nErrorMessage "{said}"{extra}{shown}'
    OUTPUT.mkdir(parents=True, exist_ok=True)
    failure = OUTPUT / "failure"
    if not failure.exists():
        failure.write_text(text, encoding="utf-8")
    print(text, file=sys.stderr, flush=True)
    return code if 0 < code < 256 else 1


def _read(name: str) -> Any:
    return json.loads((CONFIG / name).read_text(encoding="utf-8"))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text


def _is_reserved(name: str) -> bool:
    return name.startswith(_RESERVED) or name == _OBJECTIVE


def _as_variable(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _num_gpus() -> int:
    try:
        told = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, check=False)
    except OSError:
        return 0
    return sum(line.startswith(b"GPU ") for line in told.stdout.splitlines())


def _beside(name: str) -> str:
    """A program of the interpreter's environment."""
    own = Path(sys.executable).with_name(name)
    return str(own) if own.exists() else name


if __name__ == "__main__":
    sys.exit(main())
