"""Search, suggestions and updates of training jobs, over the wire."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.listings import sagemaker, tuning
from tests.support.servers import Running, running_server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("search") / "home") as running:
        for number in range(5):
            sagemaker.add_job(running, number)
        tuning.make_parent(running)
        for number in range(3):
            tuning.add_child(running, number)
        yield running


def names(house: Running, resource: str = "TrainingJob", **asked: Any) -> list[str]:
    results = house.client("sagemaker").search(Resource=resource, **asked)["Results"]
    return [each[resource][f"{resource}Name"] for each in results]


def filters(*written: tuple[str, str, str]) -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Operator": operator, "Value": value} for name, operator, value in written]}


def test_the_search_of_notebooks_finds_the_last_job_that_completed(house: Running) -> None:
    asked = filters(("TrainingJobName", "Contains", "row"), ("TrainingJobStatus", "Equals", "Completed"))
    assert names(house, SearchExpression=asked, SortBy="CreationTime", SortOrder="Descending") == ["row-4", "row-1"]
    assert names(house, SearchExpression=asked, MaxResults=1, SortBy="CreationTime") == ["row-4"]


def test_training_jobs_of_a_tuning_job_are_found_by_it_and_by_their_metrics(house: Running) -> None:
    job = tuning.tuning_place(house, "row-100")
    by_job = filters(("TuningJobArn", "Equals", job))
    assert names(house, SearchExpression=by_job, SortBy="TrainingJobName", SortOrder="Ascending") == [
        "child-0", "child-1", "child-2",
    ]  # fmt: skip
    assert names(house, SearchExpression=by_job, SortBy="Metrics.loss") == ["child-2", "child-1", "child-0"]
    by_metric = filters(("Metrics.loss", "GreaterThan", "1.5"))
    assert names(house, SearchExpression=by_metric) == ["child-2"]
    assert names(house, "HyperParameterTuningJob") == ["row-100"]
    strategy = filters(("HyperParameterTuningJobConfig.Strategy", "Equals", "Random"))
    assert names(house, "HyperParameterTuningJob", SearchExpression=strategy) == ["row-100"]


def test_tags_are_told_and_searched(house: Running) -> None:
    client = house.client("sagemaker")
    client.add_tags(ResourceArn=sagemaker.place_of(house, "row-2"), Tags=[{"Key": "team", "Value": "a"}])
    (found,) = client.search(Resource="TrainingJob", SearchExpression=filters(("Tags.team", "Equals", "a")))["Results"]
    assert (found["TrainingJob"]["TrainingJobName"], found["TrainingJob"]["Tags"]) == (
        "row-2", [{"Key": "team", "Value": "a"}],
    )  # fmt: skip
    assert (
        client.search(Resource="TrainingJob", SearchExpression=filters(("Tags.team", "Equals", "b")))["Results"] == []
    )


def test_what_cannot_be_searched_is_refused_by_name(house: Running) -> None:
    for asked, sentence in (
        ({"Resource": "Experiment"}, "Resource: Experiment cannot be searched here yet. Choose among TrainingJob"),
        ({"Resource": "TrainingJob", "SortBy": "Nothing"}, "Nothing: no property of this resource has this name."),
    ):
        with pytest.raises(ClientError, match=sentence) as refused:
            house.client("sagemaker").search(**asked)
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_properties_are_suggested(house: Running) -> None:
    def suggested(hint: str) -> list[str]:
        query = {"PropertyNameQuery": {"PropertyNameHint": hint}}
        answer = house.client("sagemaker").get_search_suggestions(Resource="TrainingJob", SuggestionQuery=query)
        return [each["PropertyName"] for each in answer["PropertyNameSuggestions"]]

    assert suggested("metrics") == ["Metrics.loss"]
    assert suggested("TrainingJobN") == ["TrainingJobName"]


def test_what_may_change_of_a_training_job_is_changed_and_the_rest_refused(house: Running) -> None:
    client = house.client("sagemaker")
    client.update_training_job(TrainingJobName="row-0", ProfilerConfig={"DisableProfiler": True})
    assert client.describe_training_job(TrainingJobName="row-0")["ProfilerConfig"] == {"DisableProfiler": True}
    client.update_training_job(TrainingJobName="row-1", ResourceConfig={"KeepAlivePeriodInSeconds": 60})
    client.update_training_job(TrainingJobName="row-0", RemoteDebugConfig={"EnableRemoteDebug": False})
    rule = {"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}
    for name, members, sentence in (
        ("row-0", {"ProfilerRuleConfigurations": [rule]}, "ProfilerRuleConfigurations: rules of the profiler"),
        ("row-0", {"RemoteDebugConfig": {"EnableRemoteDebug": True}}, "there is no Systems Manager"),
        ("row-0", {}, "nothing to change"),
        ("row-1", {"ProfilerConfig": {"DisableProfiler": True}}, "row-1 is Completed: ProfilerConfig cannot change"),
        ("row-9", {"ProfilerConfig": {"DisableProfiler": True}}, "Requested resource not found"),
    ):
        with pytest.raises(ClientError, match=sentence):
            client.update_training_job(TrainingJobName=name, **members)
