"""The console's forms of SageMaker over HTTP: what they ask for, and the pages of what became of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.consoles import RunningConsole, running_console, token_of
from tests.support.homes import with_tiny_models
from tests.support.servers import Running, running_server

BUCKET, MODEL = "forms", "local-textgeneration-tiny-v1"
GROUP = NAMESPACE = "/aws/sagemaker/TrainingJobs"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(with_tiny_models(tmp_path_factory.mktemp("forms") / "home")) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="data/train.jsonl", Body=b'{"prompt": "a", "completion": "b"}\n')
        yield running


@pytest.fixture(scope="module")
def console(house: Running) -> Iterator[RunningConsole]:
    with running_console(house) as running:
        yield running


@pytest.fixture(scope="module")
def browser(console: RunningConsole, house: Running) -> httpx.Client:
    return console.signed_in(house.installation.access_key_id, house.installation.secret_access_key)


def sent(browser: httpx.Client, path: str, **form: str) -> httpx.Response:
    return browser.post(path, data={"token": token_of(browser.get("/sagemaker")), "model": MODEL, **form})


def test_the_form_of_a_fine_tuning_asks_for_a_training_job_whose_page_lives(
    browser: httpx.Client, house: Running
) -> None:
    sagemaker, role = house.client("sagemaker"), house.client("iam").get_role(RoleName="sagemaker_execution_role")
    form = {
        "role": role["Role"]["Arn"],
        "instance_type": "ml.m5.xlarge",
        "data": f"s3://{BUCKET}/data/",
        "output": f"s3://{BUCKET}/out/",
        "hyper:epoch": "5",
    }
    refused = sent(browser, "/sagemaker/hub/train", name="no name!", **form)
    assert 'role="alert"' in refused.text
    assert 'name="hyper:epoch" value="5"' in refused.text
    shown = sent(browser, "/sagemaker/hub/train", name="verses", **form)
    assert (shown.status_code, shown.url.path) == (200, "/sagemaker/training/verses")
    told = sagemaker.describe_training_job(TrainingJobName="verses")
    assert json.loads(told["HyperParameters"]["epoch"]) == "5"
    assert [each["ChannelName"] for each in told["InputDataConfig"]] == ["training", "model", "code"]
    # When its script prints lines and metrics, they stand on the page
    now = datetime.now(UTC)
    logs = house.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="verses/algo-1-1")
    events = [{"timestamp": int(now.timestamp() * 1000) + n, "message": f"<b>line {n}</b>"} for n in range(3)]
    logs.put_log_events(logGroupName=GROUP, logStreamName="verses/algo-1-1", logEvents=events)
    metric = told["AlgorithmSpecification"]["MetricDefinitions"][0]["Name"]
    dimensions = [{"Name": "TrainingJobName", "Value": "verses"}]
    data = [
        {"MetricName": metric, "Dimensions": dimensions, "Timestamp": now + timedelta(seconds=n), "Value": 3.0 - n, "StorageResolution": 1}
        for n in range(3)
    ]  # fmt: skip
    house.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)
    page = browser.get("/sagemaker/training/verses").text
    assert "&lt;b&gt;line 2&lt;/b&gt;" in page
    assert f"{metric} <b>1.000</b>" in page
    with browser.stream("GET", "/live?page=sagemaker-training-job&arn=verses") as stream:
        assert "line 2" in next(stream.iter_lines())
    stopped = sent(browser, "/sagemaker/training/stop", name="verses")
    assert stopped.url.path == "/sagemaker/training/verses"
    assert sagemaker.describe_training_job(TrainingJobName="verses")["TrainingJobStatus"] in ("Stopping", "Stopped")
    assert ">verses</a>" in browser.get("/sagemaker").text


def test_the_form_of_a_deployment_makes_model_configuration_and_endpoint(browser: httpx.Client, house: Running) -> None:
    sagemaker, role = house.client("sagemaker"), house.client("iam").get_role(RoleName="sagemaker_execution_role")
    form = {"role": role["Role"]["Arn"], "instance_type": "ml.m5.xlarge", "instances": "2"}
    shown = sent(browser, "/sagemaker/hub/deploy", name="served", **form)
    assert (shown.status_code, shown.url.path) == (200, "/sagemaker/endpoints/served")
    assert sagemaker.describe_endpoint(EndpointName="served")["EndpointStatus"] == "Creating"
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName="served")["ProductionVariants"]
    assert (variant["ModelName"], variant["InitialInstanceCount"]) == ("served", 2)
    again = sent(browser, "/sagemaker/hub/deploy", name="served", **form)
    assert "already" in again.text.partition('role="alert">')[2].partition("<")[0]
    # What is not in service yet is refused in its own words, and what was asked stays
    asked = sent(browser, "/sagemaker/endpoints/invoke", name="served", body='{"inputs": "x"}')
    assert (asked.status_code, 'role="alert"' in asked.text) == (200, True)
    assert "{&#34;inputs&#34;: &#34;x&#34;}" in asked.text
    assert sent(browser, "/sagemaker/endpoints/delete", name="served").url.path == "/sagemaker/endpoints"
    statuses = [each["EndpointStatus"] for each in sagemaker.list_endpoints()["Endpoints"]]
    assert statuses in ([], ["Deleting"])


def test_what_is_not_there_is_said_in_the_words_of_the_api(browser: httpx.Client) -> None:
    for path in (
        "/sagemaker/training/none",
        "/sagemaker/tuning/none",
        "/sagemaker/endpoints/none",
        "/sagemaker/hub/none",
    ):
        told = browser.get(path)
        assert (told.status_code // 100, 'role="alert"' in told.text) == (4, True), path
    assert browser.get("/access/dogs/rex").status_code == 404
    assert browser.get("/access/users/none").status_code == 404


def test_pages_live_on_with_another_users_eyes(console: RunningConsole, house: Running) -> None:
    iam = house.client("iam")
    iam.create_user(UserName="watcher")
    made = iam.create_access_key(UserName="watcher")["AccessKey"]
    allow = {
        "Effect": "Allow",
        "Action": ["sagemaker:ListTrainingJobs", "sagemaker:DescribeTrainingJob"],
        "Resource": "*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="watcher", PolicyName="look", PolicyDocument=document)
    watcher = console.signed_in(made["AccessKeyId"], made["SecretAccessKey"])
    page = watcher.get("/sagemaker/training/verses")
    # The job is seen; its log and its metrics are not, and the page says so
    assert page.status_code == 200
    assert "is not authorized to perform: logs:DescribeLogStreams" in page.text
    assert "line 2" not in page.text
    refused = watcher.post("/sagemaker/training/stop", data={"token": token_of(page), "name": "verses"})
    assert (refused.status_code, "sagemaker:StopTrainingJob" in refused.text) == (403, True)
