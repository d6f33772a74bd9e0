"""The files of `deploy/`, held against the tools that read them: helm, docker-compose, systemd."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "outcrop"
HELM = ROOT / "build" / "clients" / "deployment" / "bin" / "helm"
SECRETS = "databasePassword=a/b,clusterToken=c"
needs_helm = pytest.mark.skipif(not HELM.exists(), reason=f"{HELM} is not there: `make clients` installs it")


def ran(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def template(*values: str) -> list[dict[str, Any]]:
    """The documents of the chart with these values."""
    told = ran(str(HELM), "template", "mine", str(CHART), *(part for each in values for part in ("--set", each)))
    assert told.returncode == 0, told.stderr
    return [each for each in yaml.safe_load_all(told.stdout) if each is not None]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in documents if each["kind"] == kind]


def names(document: Any, key: str) -> set[str]:
    """Every value of this key, however deep."""
    if isinstance(document, dict):
        own = {document[key]} if isinstance(document.get(key), str) else set()
        return own.union(*(names(each, key) for each in document.values()))
    return set().union(*(names(each, key) for each in document)) if isinstance(document, list) else set()


@needs_helm
def test_the_chart_is_sound_and_what_it_names_is_there() -> None:
    linted = ran(str(HELM), "lint", "--strict", str(CHART), "--set", SECRETS)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    documents = template(SECRETS)
    [cluster] = of_kind(documents, "RayCluster")
    [secret] = of_kind(documents, "Secret")
    assert secret["stringData"]["database-url"] == "postgresql+psycopg://outcrop:a%2Fb@mine-records/outcrop"
    assert names(cluster, "claimName") == {
        each["metadata"]["name"] for each in of_kind(documents, "PersistentVolumeClaim")
    }
    keys = {
        each["valueFrom"]["secretKeyRef"]["key"]
        for container in cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
        for each in container["env"]
        if "valueFrom" in each
    }
    assert keys <= secret["stringData"].keys()
    [image] = names(cluster, "image")
    assert image == "outcrop"
    pods = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    for pod in (each["template"]["spec"] for each in pods):
        # A service of the name `outcrop` would set OUTCROP_PORT; KubeRay's own probes need programs that are not there.
        assert pod["enableServiceLinks"] is False
        assert all("readinessProbe" in each for each in pod["containers"])
        assert all({"name": "home", "mountPath": "/shared"} in each["volumeMounts"] for each in pod["containers"])


@needs_helm
def test_a_database_of_ones_own_takes_the_place_of_the_charts() -> None:
    url = "postgresql+psycopg://outcrop@elsewhere/outcrop"
    documents = template(SECRETS, "records.enabled=false", f"records.url={url}")
    assert of_kind(documents, "StatefulSet") == []
    assert of_kind(documents, "Secret")[0]["stringData"]["database-url"] == url
    refused = ran(str(HELM), "template", "mine", str(CHART), "--set", SECRETS, "--set", "records.enabled=false")
    assert "records.url: name the database" in refused.stderr


@needs_helm
def test_the_charts_ray_is_the_one_that_is_tested() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    [pinned] = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert values["rayVersion"] == pinned


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not there: Debian has it")
def test_the_compose_file_is_understood_and_asks_for_its_secrets() -> None:
    file = str(DEPLOY / "compose.yaml")
    secrets = {"OUTCROP_DATABASE_PASSWORD": "a", "OUTCROP_CLUSTER_TOKEN": "b"}
    told = ran("docker-compose", "-f", file, "config", **secrets)
    assert told.returncode == 0, told.stderr
    services = yaml.safe_load(told.stdout)["services"]
    assert services["node"]["environment"]["OUTCROP_DATABASE_URL"] == "postgresql+psycopg://outcrop:a@records/outcrop"
    assert services["node"]["volumes"] == services["head"]["volumes"]
    assert all(each.startswith("127.0.0.1:") for each in services["head"]["ports"]), "others do not reach it unasked"
    refused = ran("docker-compose", "-f", file, "config", **secrets | {"OUTCROP_CLUSTER_TOKEN": ""})
    assert "a secret that all nodes share" in refused.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")
def test_the_units_are_understood(tmp_path: Path) -> None:
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        text = unit.read_text("utf-8")
        assert re.search(r"^ExecStart=/opt/outcrop/bin/(ray|outcrop) ", text, re.MULTILINE)
        # The programs need not be installed here.
        (tmp_path / unit.name).write_text(re.sub(r"/opt/outcrop/bin/\w+", "/bin/true", text), "utf-8")
    units = [str(each) for each in sorted(tmp_path.glob("*.service"))]
    told = ran("systemd-analyze", "verify", "--man=no", *units)
    ours = [line for line in told.stderr.splitlines() if "outcrop" in line]
    assert (told.returncode, ours) == (0, []), told.stderr


def test_the_image_has_what_the_package_needs() -> None:
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    named = {each for line in copied for each in line.split()}
    assert named == allowed
    assert all((ROOT / each).exists() for each in named)
