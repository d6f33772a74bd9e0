"""Endpoints of SageMaker from a model to its answers: users' code in sandboxes, language models by our engines."""

import json
import os
import signal
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from outcrop.catalog.catalog import Catalog
from tests.support.endpoints import BUCKET, HUGGINGFACE, LMI, TGI, Endpoints, name_environments
from tests.support.patience import eventually
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed
from tests.support.training_programs import archive

STARTER = "outcrop.starter-v1"
ECHO = """
import json, os, time
def model_fn(model_dir):
    print("loaded", sorted(os.listdir(model_dir)))
    return open(os.path.join(model_dir, "weights.txt")).read()
def input_fn(data, content_type):
    return json.loads(data)
def predict_fn(data, model):
    if data.get("address"):
        return {"address": os.environ["AWS_ENDPOINT_URL"]}
    if data.get("raises"):
        raise ValueError("no such thing")
    if data.get("dies"):
        os._exit(3)
    time.sleep(data.get("sleeps", 0))
    return {"model": model, **data}
def output_fn(prediction, accept):
    return json.dumps(prediction)
"""


def link_to(target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo("code")
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("endpoints") / "home"
    name_environments(home)
    with installed(home) as house:
        yield house


@pytest.fixture(scope="module")
def endpoints(house: Installed) -> Endpoints:
    return Endpoints(house, house.role)


@pytest.fixture(scope="module")
def text(house: Installed, endpoints: Endpoints) -> str:
    """An endpoint with a model of the catalogue."""
    endpoints.model("text", image=TGI, environment={"HF_MODEL_ID": STARTER, "SAGEMAKER_PROGRAM": ""})
    assert endpoints.deploy("text")["EndpointStatus"] == "InService"
    return "text"


@pytest.fixture(scope="module")
def echo(endpoints: Endpoints) -> str:
    """An endpoint with users' code."""
    endpoints.model("echo", files={"weights.txt": "one", "code/inference.py": ECHO})
    assert endpoints.deploy("echo")["EndpointStatus"] == "InService"
    return "echo"


@needs_sandbox
def test_users_code_answers(endpoints: Endpoints, echo: str) -> None:
    assert endpoints.ask(echo, {"a": 1}) == {"model": "one", "a": 1}
    answer = endpoints.runtime.invoke_endpoint(EndpointName=echo, Body=b"{}", TargetVariant="AllTraffic")
    assert (answer["InvokedProductionVariant"], answer["ContentType"]) == ("AllTraffic", "application/json")


@needs_sandbox
def test_what_goes_wrong_in_users_code_is_told_in_its_words(endpoints: Endpoints, echo: str) -> None:
    raised = endpoints.error(echo, {"raises": True})
    assert (raised["Error"]["Code"], raised["OriginalStatusCode"]) == ("ModelError", 500)
    assert raised["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert "ValueError: no such thing" in raised["OriginalMessage"]
    assert 'Received server error (500) from primary with message "no such thing' in raised["Error"]["Message"]
    assert endpoints.error(echo, {"dies": True})["OriginalStatusCode"] == 500
    assert endpoints.ask(echo, {"after": 1}) == {"model": "one", "after": 1}


@needs_sandbox
def test_the_log_of_a_copy_is_in_cloudwatch(house: Installed, endpoints: Endpoints, echo: str) -> None:
    logs, group = house.client("logs"), f"/aws/sagemaker/Endpoints/{echo}"

    def told() -> bool:
        try:
            events = logs.filter_log_events(logGroupName=group, logStreamNamePrefix="AllTraffic/", limit=100)["events"]
        except logs.exceptions.ResourceNotFoundException:  # it comes with the first line that is told
            return False
        return any(event["message"] == "loaded ['code', 'weights.txt']" for event in events)

    eventually(told)


@needs_sandbox
def test_code_that_does_not_load_fails_with_its_last_words(endpoints: Endpoints) -> None:
    endpoints.model("unloadable", files={"code/inference.py": "import nothing_of_this_name"})
    told = endpoints.deploy("unloadable")
    assert told["EndpointStatus"] == "Failed"
    assert told["FailureReason"].startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint."
    )
    assert "No module named 'nothing_of_this_name'" in told["FailureReason"]
    assert endpoints.error("unloadable", {})["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        endpoints.sagemaker.update_endpoint(EndpointName="unloadable", EndpointConfigName="unloadable")


@needs_sandbox
def test_a_program_of_its_own_is_relayed(endpoints: Endpoints) -> None:
    program = """
import http.server
class Own(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Type", "text/plain"); self.end_headers()
        self.wfile.write(body[::-1])
http.server.HTTPServer(("127.0.0.1", 8080), Own).serve_forever()
"""
    endpoints.model("relayed", image="1.dkr.ecr.us-east-1.amazonaws.com/own-server:1", files={"serve.py": program})
    assert endpoints.deploy("relayed")["EndpointStatus"] == "InService"
    answer = endpoints.runtime.invoke_endpoint(EndpointName="relayed", Body=b"abc", ContentType="text/plain")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"cba", "text/plain")


class Clients:
    """Fifty clients who ask one endpoint without a pause, each for an answer of its own."""

    def __init__(self, endpoints: Endpoints, name: str) -> None:
        self._endpoints = endpoints
        self._name = name
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(50)
        self.answers: Counter[str] = Counter()
        self.wrong: list[object] = []

    def __enter__(self) -> "Clients":
        self._asking = [self._pool.submit(self._ask, number) for number in range(50)]
        eventually(lambda: sum(self.answers.values()) > 50)
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._pool.shutdown()

    def _ask(self, client: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            try:
                answer = self._endpoints.ask(self._name, {"client": client, "number": number})
            except Exception as error:
                self.wrong.append(error)
                continue
            if (answer["client"], answer["number"]) != (client, number):
                self.wrong.append(answer)
            self.answers[answer["model"]] += 1


@needs_sandbox
def test_fifty_clients_see_no_update_no_scaling_and_no_kill(house: Installed, endpoints: Endpoints) -> None:
    for version in ("first", "second"):
        endpoints.model(version, files={"weights.txt": version, "code/inference.py": ECHO})
        endpoints.config(f"of-{version}", {"ModelName": version})
    endpoints.sagemaker.create_endpoint(EndpointName="busy", EndpointConfigName="of-first")
    assert endpoints.settled("busy")["EndpointStatus"] == "InService"
    with Clients(endpoints, "busy") as clients:
        assert endpoints.scale("busy", 3)["EndpointStatus"] == "InService"
        assert endpoints.counts("busy") == (3, 3)
        endpoints.sagemaker.update_endpoint(
            EndpointName="busy", EndpointConfigName="of-second", RetainAllVariantProperties=True
        )
        assert endpoints.settled("busy")["EndpointConfigName"] == "of-second"
        assert endpoints.counts("busy") == (3, 3)
        settled = clients.answers["first"] + clients.answers["second"]
        eventually(lambda: clients.answers["second"] > 100)
        endpoints.scale("busy", 1)
        worker = house.pid_of("light-worker")
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        assert endpoints.scale("busy", 2)["EndpointStatus"] == "InService"
        seen = sum(clients.answers.values())
        assert seen > settled
        eventually(lambda: sum(clients.answers.values()) > seen + 50)
    assert clients.wrong == []
    assert clients.answers["first"] > 0


@needs_sandbox
def test_a_copy_that_is_killed_comes_back(house: Installed, endpoints: Endpoints, echo: str) -> None:
    before = servers_of(house)
    for pid in before:
        with suppress(ProcessLookupError):  # it ended with the one before
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: servers_of(house) and not servers_of(house) & before)
    assert endpoints.ask(echo, {"back": 1}) == {"model": "one", "back": 1}


def servers_of(house: Installed) -> set[int]:
    """The processes in sandboxes whose folders lie in this home."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            command, mounts = (process / "cmdline").read_bytes(), (process / "mountinfo").read_text()
            if b"model_server.py" in command and str(house.settings.home) in mounts:
                found.add(int(process.name))
    return found


@needs_sandbox
def test_an_update_that_cannot_serve_leaves_what_does(endpoints: Endpoints, echo: str) -> None:
    endpoints.model("broken", files={"code/inference.py": "raise RuntimeError('not today')"})
    endpoints.config("broken")
    endpoints.sagemaker.update_endpoint(EndpointName=echo, EndpointConfigName="broken")
    told = endpoints.settled(echo)
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", "echo")
    assert "not today" in told["FailureReason"]
    assert endpoints.ask(echo, {"still": 1}) == {"model": "one", "still": 1}


@needs_sandbox
def test_variants_share_requests_by_weight(endpoints: Endpoints, echo: str) -> None:
    endpoints.model("other", files={"weights.txt": "other", "code/inference.py": ECHO})
    endpoints.deploy(
        "weighted",
        {"VariantName": "a", "ModelName": "echo", "InitialVariantWeight": 0},
        {"VariantName": "b", "ModelName": "other", "InitialVariantWeight": 1},
    )
    assert {endpoints.ask("weighted", {})["model"] for _ in range(10)} == {"other"}
    assert endpoints.ask("weighted", {}, TargetVariant="a")["model"] == "one"
    assert "Variant c" in endpoints.error("weighted", {}, TargetVariant="c")["Error"]["Message"]


@needs_sandbox
def test_what_is_captured_lies_in_s3(endpoints: Endpoints, echo: str) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    told = endpoints.deploy("seen", {"ModelName": echo}, DataCaptureConfig=capture)
    assert told["DataCaptureConfig"]["CaptureStatus"] == "Started"
    endpoints.ask("seen", {"a": 1}, InferenceId="mine")

    def captured() -> list[str]:
        found = endpoints.s3.list_objects_v2(Bucket=BUCKET, Prefix="captured/seen/AllTraffic/")
        return [entry["Key"] for entry in found.get("Contents", [])]

    (key,) = eventually(captured)
    line = json.loads(endpoints.object(f"s3://{BUCKET}/{key}"))
    assert line["captureData"]["endpointInput"] == {
        "observedContentType": "application/json", "mode": "INPUT", "data": '{"a": 1}', "encoding": "JSON"
    }  # fmt: skip
    assert json.loads(line["captureData"]["endpointOutput"]["data"]) == {"model": "one", "a": 1}
    assert line["eventMetadata"]["inferenceId"] == "mine"


@needs_sandbox
def test_an_asynchronous_endpoint_answers_by_way_of_s3(endpoints: Endpoints, echo: str) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/answers", "S3FailurePath": f"s3://{BUCKET}/failures"}
    endpoints.deploy("later", {"ModelName": echo}, AsyncInferenceConfig={"OutputConfig": output})
    for name, body in (("good", {"later": 1}), ("bad", {"raises": True})):
        endpoints.s3.put_object(Bucket=BUCKET, Key=f"asked/{name}.json", Body=json.dumps(body))
    asked = {"EndpointName": "later", "ContentType": "application/json"}
    good = endpoints.runtime.invoke_endpoint_async(InputLocation=f"s3://{BUCKET}/asked/good.json", **asked)
    bad = endpoints.runtime.invoke_endpoint_async(InputLocation=f"s3://{BUCKET}/asked/bad.json", **asked)
    assert json.loads(eventually(lambda: endpoints.object(good["OutputLocation"]))) == {"model": "one", "later": 1}
    assert b"no such thing" in eventually(lambda: endpoints.object(bad["FailureLocation"]))
    with pytest.raises(ClientError, match="is not asynchronous"):
        endpoints.runtime.invoke_endpoint_async(EndpointName=echo, InputLocation=f"s3://{BUCKET}/asked/good.json")


@needs_sandbox
def test_a_transform_job_answers_record_by_record(endpoints: Endpoints, echo: str) -> None:
    lines = [json.dumps({"number": number}) for number in range(5)]
    endpoints.s3.put_object(Bucket=BUCKET, Key="records/a.jsonl", Body="\n".join(lines))
    endpoints.s3.put_object(Bucket=BUCKET, Key="records/deep/b.jsonl", Body=lines[0])
    told = endpoints.transform("records", echo, prefix="records/", output="transformed")
    assert told["TransformJobStatus"] == "Completed", told.get("FailureReason")
    answers = endpoints.object(f"s3://{BUCKET}/transformed/a.jsonl.out").decode().splitlines()
    assert [json.loads(line) for line in answers] == [{"model": "one", "number": number} for number in range(5)]
    assert json.loads(endpoints.object(f"s3://{BUCKET}/transformed/deep/b.jsonl.out"))["number"] == 0
    endpoints.s3.put_object(Bucket=BUCKET, Key="wrong/c.jsonl", Body=json.dumps({"raises": True}))
    failed = endpoints.transform("wrong", echo, prefix="wrong/", output="transformed")
    assert failed["TransformJobStatus"] == "Failed"
    assert failed["FailureReason"].startswith("c.jsonl, request 1: Received server error (500) from primary")


def test_a_language_model_answers_by_the_shape_of_the_body(endpoints: Endpoints, text: str) -> None:
    asked = {"inputs": "The weather today", "parameters": {"max_new_tokens": 8}}
    (answer,) = endpoints.ask(text, asked)
    whole = endpoints.ask(text, {"inputs": "The weather today", "parameters": {"max_new_tokens": 8, "details": True}})
    assert whole[0]["generated_text"] == answer["generated_text"]
    assert len(whole[0]["details"]["tokens"]) == whole[0]["details"]["generated_tokens"]
    full = {"inputs": "The weather today", "parameters": {"max_new_tokens": 8, "return_full_text": True}}
    assert endpoints.ask(text, full)[0]["generated_text"] == f"The weather today{answer['generated_text']}"
    chat = endpoints.ask(text, {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0})
    assert chat["object"] == "chat.completion"
    assert chat["usage"]["completion_tokens"] <= 4
    assert endpoints.ask(text, {"prompt": "Hello", "max_tokens": 2})["object"] == "text_completion"


def test_a_stream_is_the_whole_answer_piece_by_piece(endpoints: Endpoints, text: str) -> None:
    asked = {"inputs": "The weather today", "parameters": {"max_new_tokens": 8}}
    (answer,) = endpoints.ask(text, asked)
    events = endpoints.stream(text, {**asked, "stream": True}).decode().strip().split("\n\n")
    told = [json.loads(event.removeprefix("data:")) for event in events]
    assert "".join(each["token"]["text"] for each in told) == answer["generated_text"]
    assert told[-1]["generated_text"] == answer["generated_text"]
    chat = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0}
    lines = endpoints.stream(text, {**chat, "stream": True}).decode().strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    pieces = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in lines[:-1]]
    said = endpoints.ask(text, chat)["choices"][0]["message"]["content"]
    assert "".join(piece.get("content", "") for piece in pieces) == said


def test_bad_bodies_are_the_models_error(endpoints: Endpoints, text: str) -> None:
    for body, words in (
        ({"inputs": "a", "parameters": {"nonsense": 1}}, "extraneous key [nonsense]"),
        ({"inputs": "a", "parameters": {"num_beams": 4}}, "#/parameters/num_beams: it has no effect here"),
        ({"question": "a"}, "none of the members inputs, messages and prompt"),
        ({"inputs": ["a", "b"]}, "#/inputs: expected type: String"),
        ({"inputs": "a " * 100_000}, "tokens"),
    ):
        error = endpoints.error(text, body)
        assert (error["Error"]["Code"], error["OriginalStatusCode"]) == ("ModelError", 422), error
        assert words in error["OriginalMessage"], error


def test_lmi_writes_lines_of_json(endpoints: Endpoints) -> None:
    endpoints.model("lmi", image=LMI, environment={"HF_MODEL_ID": STARTER})
    endpoints.deploy("lmi")
    asked = {"inputs": "The weather today", "parameters": {"max_new_tokens": 5}}
    answer = endpoints.ask("lmi", asked)["generated_text"]
    lines = endpoints.stream("lmi", {**asked, "stream": True}).decode().splitlines()
    told = [json.loads(line) for line in lines]
    assert "".join(each["token"]["text"] for each in told) == told[-1]["generated_text"] == answer


def test_a_network_from_s3_is_served_by_an_engine(house: Installed, endpoints: Endpoints, text: str) -> None:
    folder = Catalog(house.settings.home).usable(STARTER).folder
    assert folder is not None
    source = {"S3Uri": endpoints.upload(folder, "network"), "S3DataType": "S3Prefix", "CompressionType": "None"}
    endpoints.model("network", image=HUGGINGFACE, ModelDataSource={"S3DataSource": source})
    assert endpoints.deploy("network")["EndpointStatus"] == "InService"
    asked = {"inputs": "The weather today", "parameters": {"max_new_tokens": 8}}
    (answer,) = endpoints.ask("network", asked)
    assert answer["generated_text"] == f"The weather today{endpoints.ask(text, asked)[0]['generated_text']}"


def test_metrics_of_an_endpoint(house: Installed, endpoints: Endpoints, text: str) -> None:
    endpoints.ask(text, {"inputs": "a", "parameters": {"max_new_tokens": 1}})
    dimensions = [{"Name": "EndpointName", "Value": text}, {"Name": "VariantName", "Value": "AllTraffic"}]
    cloudwatch = house.client("cloudwatch")

    def invocations() -> float:
        now = time.time()
        found = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=dimensions,
            StartTime=now - 600,
            EndTime=now + 60,
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in found["Datapoints"]))

    eventually(invocations)


@needs_sandbox
@pytest.mark.parametrize(
    ("member", "words"),
    [
        (tarfile.TarInfo("../outside"), "outside"),
        (link_to("/etc/passwd"), "code"),
    ],
    ids=["a path that leads out", "a link that leads out"],
)
def test_an_artifact_that_leads_out_of_its_folder_is_refused(
    endpoints: Endpoints, member: tarfile.TarInfo, words: str
) -> None:
    name = f"leading-{words}"
    endpoints.s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=archive({"a": "b"}, member))
    endpoints.model(name, ModelDataUrl=f"s3://{BUCKET}/{name}.tar.gz")
    told = endpoints.deploy(name)
    assert told["EndpointStatus"] == "Failed"
    assert told["FailureReason"].startswith(f"s3://{BUCKET}/{name}.tar.gz: ")
    assert words in told["FailureReason"]


@needs_sandbox
def test_endpoints_are_there_again_after_a_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    name_environments(home)
    with installed(home) as first:
        before = Endpoints(first, first.role)
        before.model("code", files={"weights.txt": "one", "code/inference.py": ECHO})
        before.deploy("code")
        before.model("text", image=TGI, environment={"HF_MODEL_ID": STARTER})
        before.deploy("text")
    with installed(home) as second:
        runtime = second.client("sagemaker-runtime")
        for name, body in (("code", {"address": 1}), ("text", {"inputs": "a", "parameters": {"max_new_tokens": 1}})):
            answer = runtime.invoke_endpoint(EndpointName=name, Body=json.dumps(body))
            told = json.loads(answer["Body"].read())
            assert name == "text" or told == {"address": f"http://127.0.0.1:{second.settings.port}"}


def test_unknown_things_are_told_as_sagemaker_tells_them(endpoints: Endpoints) -> None:
    told = endpoints.error("nowhere", {})
    assert told["Error"]["Code"] == "ValidationError"
    assert told["Error"]["Message"].startswith("Endpoint nowhere of account ")
    sagemaker = endpoints.sagemaker
    for call, words in (
        (lambda: sagemaker.describe_endpoint(EndpointName="nowhere"), 'Could not find endpoint "arn:aws:sagemaker:'),
        (lambda: sagemaker.delete_endpoint(EndpointName="nowhere"), 'Could not find endpoint "arn:aws:sagemaker:'),
        (lambda: sagemaker.describe_model(ModelName="nowhere"), 'Could not find model "arn:aws:sagemaker:'),
        (lambda: endpoints.config("c", {"ModelName": "nowhere"}), 'Could not find model "arn:aws:sagemaker:'),
        (
            lambda: sagemaker.create_endpoint(EndpointName="c", EndpointConfigName="nowhere"),
            'Could not find endpoint configuration "arn:aws:sagemaker:',
        ),
        (
            lambda: endpoints.model("m", image="1.dkr.ecr.us-east-1.amazonaws.com/strange:1"),
            "no environment stands for",
        ),
        (lambda: endpoints.model("m", ModelDataUrl=f"s3://{BUCKET}/nothing.tar.gz"), "nothing.tar.gz"),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "ValidationException"
        assert words in refused.value.response["Error"]["Message"]
    endpoints.model("twice", image=TGI, environment={"HF_MODEL_ID": STARTER})
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        endpoints.model("TWICE", image=TGI, environment={"HF_MODEL_ID": STARTER})
    canary = {"Type": "CANARY", "WaitIntervalInSeconds": 0}
    with pytest.raises(ClientError, match="let in at once"):
        endpoints.sagemaker.create_endpoint(
            EndpointName="canary",
            EndpointConfigName="canary",
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary}},
        )
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        endpoints.model("twice", image=TGI, environment={"HF_MODEL_ID": STARTER})
