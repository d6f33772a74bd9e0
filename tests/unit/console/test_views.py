"""The console's plain values: what pages show of what the API tells."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outcrop.console.language import preferred
from outcrop.console.user_client import Listed
from outcrop.console.views import job_request
from outcrop.console.views.amounts import age, duration, size
from outcrop.console.views.conversation_view import asked_answers
from outcrop.console.views.home_view import next_step, road
from outcrop.console.views.job_views import job_page
from outcrop.console.views.loss_chart import ChartPoint, loss_chart
from outcrop.console.views.model_views import lineage, model_cards
from outcrop.console.views.report_view import report_page

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012"
STARTER = "arn:aws:bedrock:us-east-1::foundation-model/outcrop.starter-v1:0:2k"


@pytest.mark.parametrize(
    ("seconds", "english", "japanese"),
    [(4.2, "4 s", "4秒"), (90, "1.5 min", "1.5分"), (1200, "20 min", "20分"), (7200, "2 h", "2時間"), (200_000, "2.3 d", "2.3日")],
)  # fmt: skip
def test_a_duration_is_told_in_its_largest_unit(seconds: float, english: str, japanese: str) -> None:
    assert (duration(seconds, "en"), duration(seconds, "ja")) == (english, japanese)


def test_ages_and_sizes() -> None:
    assert age(NOW - timedelta(minutes=3), NOW, "en") == "3 min ago"
    assert age(NOW, NOW, "ja") == "たった今"
    assert age(None, NOW, "en") == ""
    assert [size(number) for number in (12, 30_600, 2_500_000, 7e9)] == ["12 B", "30.6 kB", "2.5 MB", "7.0 GB"]


@pytest.mark.parametrize(("accepted", "language"), [("ja,en;q=0.8", "ja"), ("fr, JA-jp", "ja"), ("de", "en"), ("", "en")])  # fmt: skip
def test_the_first_language_that_is_ours_is_spoken(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


def test_a_chart_goes_from_the_first_step_to_the_last_between_round_losses() -> None:
    chart = loss_chart([("jobs.TrainingLoss", [ChartPoint(0, 4.0), ChartPoint(50, 3.0), ChartPoint(100, 2.0)])])
    assert chart is not None
    (line,) = chart.lines
    assert line.points == "0.00,0.00 50.00,50.00 100.00,100.00"
    assert (line.last, line.end) == ("2.000", ("100.00%", "100.00%"))
    assert [tick.text for tick in chart.losses] == ["2", "2.5", "3", "3.5", "4"]
    assert [tick.text for tick in chart.steps] == ["0", "25", "50", "75", "100"]


def test_a_chart_of_many_points_stays_small_and_keeps_its_peaks() -> None:
    points = [ChartPoint(step, 9.0 if step == 54_321 else 1.0) for step in range(90_000)]
    chart = loss_chart([("jobs.TrainingLoss", points)])
    assert chart is not None
    assert len(chart.lines[0].points.split()) <= 402
    assert any(point.endswith(",10.00") for point in chart.lines[0].points.split())  # 9 on an axis from 0 to 10


@pytest.mark.parametrize("points", [[], [ChartPoint(1, 2.0)], [ChartPoint(1, float("nan")), ChartPoint(2, 1.0)]])
def test_too_few_points_are_no_chart(points: list[ChartPoint]) -> None:
    assert loss_chart([("jobs.TrainingLoss", points)]) is None


def test_losses_that_never_change_have_a_chart_too() -> None:
    assert loss_chart([("jobs.TrainingLoss", [ChartPoint(0, 0.0), ChartPoint(1, 0.0)])]) is not None


JOB: dict[str, Any] = {
    "jobArn": f"{ACCOUNT}:model-customization-job/outcrop.starter-v1:0:2k/abc",
    "jobName": "verses",
    "outputModelName": "verses",
    "roleArn": "arn:aws:iam::123456789012:role/jobs",
    "status": "InProgress",
    "baseModelArn": STARTER,
    "customizationType": "FINE_TUNING",
    "creationTime": NOW - timedelta(minutes=5),
    "statusDetails": {
        "validationDetails": {
            "status": "Completed",
            "creationTime": NOW - timedelta(minutes=5),
            "lastModifiedTime": NOW - timedelta(minutes=4),
        },
        "dataProcessingDetails": {
            "status": "InProgress",
            "creationTime": NOW - timedelta(minutes=4),
            "lastModifiedTime": NOW - timedelta(minutes=4),
        },
        "trainingDetails": {"status": "NotStarted"},
    },
    "trainingDataConfig": {"s3Uri": "s3://b/train.jsonl"},
    "outputDataConfig": {"s3Uri": "s3://b/output/"},
    "hyperParameters": {"epochCount": "2", "outcrop.method": "lora", "outcrop.schedule": "linear"},
}


def test_a_running_job_tells_its_phases_figures_and_losses_by_step() -> None:
    seconds = [NOW + timedelta(seconds=n) for n in range(4)]
    points = {
        "Step": [(seconds[0], 1.0), (seconds[2], 2.0)],
        "TrainingLoss": [(seconds[0], 3.0), (seconds[2], 2.5)],
        "ValidationLoss": [(seconds[3], 2.75)],
        "TokensPerSecond": [(seconds[2], 1234.0)],
        "SecondsLeft": [(seconds[2], 100.0)],
    }
    page = job_page(JOB, points, NOW, "en")
    assert [(phase.status, phase.took) for phase in page.phases] == [("Completed", "1 min"), ("InProgress", "4 min"), ("NotStarted", "")]  # fmt: skip
    assert page.chart is not None
    assert [line.last for line in page.chart.lines] == ["2.500", "2.750"]
    assert page.figures == [
        ("jobs.Step", "2"),
        ("jobs.TrainingLoss", "2.500"),
        ("jobs.ValidationLoss", "2.750"),
        ("jobs.TokensPerSecond", "1,234"),
        ("jobs.SecondsLeft", "1.7 min"),
    ]
    assert (page.row.base, page.row.took, page.is_running, page.model_arn) == ("outcrop.starter-v1", "5 min", True, "")
    assert dict(page.again)["outcrop.method"] == "lora"
    assert "outcrop.schedule" not in dict(page.again)


def test_a_job_of_which_nothing_is_known_yet_has_a_page() -> None:
    page = job_page(JOB | {"statusDetails": {}}, {}, NOW, "ja")
    assert (page.chart, page.figures) == (None, [])


def test_the_two_forms_of_a_model_are_one_card() -> None:
    one = {"modelName": "Starter", "providerName": "Outcrop", "outputModalities": ["TEXT"]}
    cards = model_cards(
        [
            one | {"modelId": "outcrop.starter-v1", "customizationsSupported": []},
            one | {"modelId": "outcrop.starter-v1:0:2k", "customizationsSupported": ["FINE_TUNING"]},
        ]
    )
    assert [(card.id, card.customizations, card.makes) for card in cards] == [
        ("outcrop.starter-v1", ["FINE_TUNING"], "models.text")
    ]


def test_lineage_shows_the_way_from_the_foundation_and_all_that_came_of_the_model() -> None:
    parents = {"a": STARTER, "b": "a", "c": "b", "d": "b", "other": "a", "apart": STARTER}
    told = [{"modelArn": arn, "modelName": arn.upper(), "baseModelArn": base} for arn, base in parents.items()]
    nodes = lineage(told, "b")
    assert [(node.depth, node.name, node.is_here) for node in nodes] == [
        (0, "outcrop.starter-v1", False),
        (1, "A", False),
        (2, "B", True),
        (3, "C", False),
        (3, "D", False),
    ]


def test_the_road_tells_counts_and_the_next_step() -> None:
    none, some = Listed([]), Listed([{"status": "Completed"}])
    at_first = {"data": none, "jobs": none, "models": none, "deployments": none}
    assert [station.told_count for station in road(at_first)] == ["0", "0", "0", "0", ""]
    assert next_step(at_first).page == "/data"
    assert next_step(at_first | {"data": some}).page == "/customize"
    assert next_step(at_first | {"data": some, "jobs": Listed([{"status": "InProgress"}])}).page == "/jobs"
    assert next_step(at_first | {"data": some, "models": some}).page == "/models"
    assert next_step({"data": some, "jobs": some, "models": some, "deployments": some}).page == "/playground"
    refused = road(at_first | {"jobs": Listed([], refused="no")})
    assert (refused[1].told_count, Listed([1] * 1000, more="x").told_count) == ("–", "1,000+")


def test_the_wizards_request_has_what_was_chosen_and_nothing_else() -> None:
    form = job_request.read_form(
        {"model": "outcrop.starter-v1", "train": "s3://b/t.jsonl", "epochCount": " 2 ", "batchSize": "", "evil": "x",
         "name": "it's", "role": "arn:aws:iam::1:role/r", "output": job_request.default_output("s3://b/t.jsonl")}
    )  # fmt: skip
    request = job_request.request_of(form)
    assert request == {
        "jobName": "it's",
        "customModelName": "it's",
        "roleArn": "arn:aws:iam::1:role/r",
        "baseModelIdentifier": "outcrop.starter-v1",
        "customizationType": "FINE_TUNING",
        "trainingDataConfig": {"s3Uri": "s3://b/t.jsonl"},
        "outputDataConfig": {"s3Uri": "s3://b/output/"},
        "hyperParameters": {"epochCount": "2"},
    }
    assert job_request.read_form(dict(form.query)) == form
    assert 'create_model_customization_job(\n    jobName="it\'s",\n' in job_request.boto3_code(request)
    compile(job_request.boto3_code(request), "code", "exec")
    assert "--job-name 'it'\"'\"'s'" in job_request.cli_code(request)
    assert """--training-data-config '{"s3Uri": "s3://b/t.jsonl"}'""" in job_request.cli_code(request)


def test_the_wizard_begins_with_what_is_missing() -> None:
    steps = [job_request.first_missing(job_request.read_form(given)) for given in ({}, {"model": "m"}, {"model": "m", "train": "t"})]  # fmt: skip
    assert steps == ["model", "data", "review"]


def test_a_report_tells_problems_with_their_lines_and_what_is_learned() -> None:
    problem = {"line": 3, "field": "completion", "what": "missing", "mend": "Give one.", "sentence": "…"}
    file = {
        "name": "t.jsonl", "num_records": 2, "num_refused": 1, "num_tokens": 30, "num_supervised": 8, "num_truncated": 0,
        "num_duplicates": 0, "problems": [problem], "excerpts": {"3": "{}"},
        "samples": [{"line": 1, "pieces": [
            {"text": "<s>", "special": True, "learned": False}, {"text": "a", "special": False, "learned": True},
        ]}],
    }  # fmt: skip
    page = report_page({"ready": False, "base": "b", "files": [file], "forecast": None}, "en")
    assert page.run is None
    (told,) = page.files
    assert (told.problems[0].line, told.problems[0].excerpt) == (3, "{}")
    assert [piece.style for piece in told.samples[0].pieces] == ["special", "learned"]


GOOD = {"models": [{"id": "m", "turns": [["user", "a"], ["assistant", "b"]]}], "prompt": "c", "max_tokens": 5, "temperature": 0}  # fmt: skip


def test_a_prompt_goes_to_each_model_with_its_own_turns() -> None:
    request = asked_answers(GOOD).request(0)
    assert [message["role"] for message in request["messages"]] == ["user", "assistant", "user"]
    assert request["inferenceConfig"] == {"maxTokens": 5, "temperature": 0.0}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"models": []}, "models: 0; choose 1 to 4."),
        ({"models": GOOD["models"] * 5}, "models: 5; choose 1 to 4."),  # type: ignore[operator]
        ({"prompt": " "}, "prompt: it is empty."),
        ({"max_tokens": 0}, "max_tokens: 0; choose 1 to 4096."),
        ({"temperature": 2}, "temperature: 2; choose 0 to 1."),
        ({"models": [{}]}, "models, prompt, max_tokens, temperature: one is missing or of another form."),
    ],
)
def test_what_is_wrong_with_a_prompt_is_said(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        asked_answers(GOOD | changed)
