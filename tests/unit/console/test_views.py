"""The console's plain values: what pages show of what the API tells."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.console.language import preferred
from outcrop.console.user_client import Listed
from outcrop.console.views import job_request
from outcrop.console.views.amounts import age, base_id, duration, size
from outcrop.console.views.conversation_view import asked_answers
from outcrop.console.views.curve import MOST_STRETCHES, Curve
from outcrop.console.views.home_view import next_step, road
from outcrop.console.views.job_kinds import START, KindPage, merge, read_place, write_place
from outcrop.console.views.job_views import JobTold, answered_prompts, job_page
from outcrop.console.views.loss_chart import ChartPoint, loss_chart
from outcrop.console.views.model_views import lineage, model_cards
from outcrop.console.views.overlay import overlay
from outcrop.console.views.report_view import report_page
from outcrop.console.views.study_view import study_gain, study_page
from outcrop.console.watched_job import MEASURES

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


def test_the_foundation_below_a_custom_model_stands_in_its_arn() -> None:
    assert base_id(f"{ACCOUNT}:custom-model/outcrop.starter-v1:0:2k/abc") == "outcrop.starter-v1"
    assert [base_id(each) for each in (STARTER, "outcrop.starter-v1")] == ["outcrop.starter-v1"] * 2


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


def curves_of(values: dict[str, list[float]]) -> dict[str, Curve]:
    """Curves of all measures; the values are those after step 1, 2, …"""
    curves = {name: Curve() for name in MEASURES}
    for name, told in values.items():
        for step, value in enumerate(told, start=1):
            curves[name].add(step, value)
    return curves


def test_a_running_job_tells_its_phases_figures_and_losses_by_step() -> None:
    curves = curves_of({"TrainingLoss": [3.0, 2.5], "TokensPerSecond": [900.0, 1234.0]})
    curves["ValidationLoss"].add(2, 2.75)
    page = job_page(JOB, JobTold(curves=curves, last_step={"step": 1, "seconds_left": 100.0}), NOW, "en")
    assert [(phase.status, phase.took) for phase in page.phases] == [("Completed", "1 min"), ("InProgress", "4 min"), ("NotStarted", "")]  # fmt: skip
    assert page.chart is not None
    assert [(line.name, line.last) for line in page.chart.lines] == [
        ("Training loss", "2.500"),
        ("Validation loss", "2.750"),
    ]
    assert [key for key, _ in page.beside] == ["jobs.TokensPerSecond"]
    assert page.figures == [
        ("jobs.Step", "2"),
        ("jobs.TrainingLoss", "2.500"),
        ("jobs.ValidationLoss", "2.750"),
        ("jobs.TokensPerSecond", "1,234"),
        ("jobs.SecondsLeft", "1.7 min"),
    ]
    assert (page.row.base, page.row.took, page.is_running, page.model_arn) == ("outcrop.starter-v1", "5 min", True, "")
    assert dict(page.again)["outcrop.method"] == "lora"
    assert dict(page.again)["outcrop.schedule"] == "linear"  # which the wizard does not ask about


def test_a_job_of_which_nothing_is_known_yet_has_a_page() -> None:
    page = job_page(JOB | {"statusDetails": {}}, JobTold(curves=curves_of({})), NOW, "ja")
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


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(-1e6, 1e6)), min_size=1, max_size=300))
def test_a_curve_keeps_few_points_all_of_them_told_and_no_peak_is_lost(told: list[tuple[int, float]]) -> None:
    curve = Curve(most=16)
    for step, value in told:
        curve.add(step, value)
    points = curve.points()
    assert len(points) <= 2 * 16 + 1
    assert {tuple(point) for point in points} <= set(told)
    assert max(point.loss for point in points) == max(value for _, value in told)
    assert min(point.loss for point in points) == min(value for _, value in told)


def test_a_curve_of_a_million_steps_is_no_larger_than_one_of_a_thousand() -> None:
    curve = Curve()
    for step in range(0, 1_000_000, 7):
        curve.add(step, 1.0 if step != 700_000 else 9.0)
    assert len(curve) <= MOST_STRETCHES
    assert (700_000, 9.0) in curve.points()


def test_what_a_job_takes_back_is_taken_out_of_its_curve() -> None:
    curve = Curve(most=8)
    for step in range(40):
        curve.add(step, float(step))
    curve.take_back(20)
    assert max(point.step for point in curve.points()) < 20
    curve.add(20, 0.5)
    assert curve.last == (20, 0.5)
    assert min(point.loss for point in curve.points() if point.step >= 20) == 0.5


def listed(kind: str, *minutes: int) -> KindPage:
    began = {"customization": "creationTime", "batch": "submitTime"}[kind]
    items = [{"jobArn": f"{kind}-{ago}", began: NOW - timedelta(minutes=ago)} for ago in minutes]
    return KindPage(items, "")


def test_lists_of_all_kinds_are_one_list_that_can_be_left_and_found_again() -> None:
    pages = {"customization": listed("customization", 1, 4, 5), "batch": listed("batch", 2, 3, 6)}
    found, place = merge(pages, START, 4)
    assert [told["jobArn"] for _, told in found] == ["customization-1", "batch-2", "batch-3", "customization-4"]
    assert place is not None
    again = read_place(write_place(place))
    assert again == place
    rest, end = merge(pages, again, 4)
    assert ([told["jobArn"] for _, told in rest], end) == (["customization-5", "batch-6"], None)


@pytest.mark.parametrize("text", ["", "nonsense", "bm90IGpzb24=", "W10=", "WzEsMiwzXQ=="])
def test_a_place_that_nobody_wrote_is_the_start(text: str) -> None:
    assert read_place(text) == START


def test_jobs_over_one_another_keep_their_colours_and_show_what_differs() -> None:
    jobs = [JOB | {"jobName": name, "hyperParameters": {"rank": rank, "epochCount": "2"}} for name, rank in (("a", "4"), ("b", "8"))]  # fmt: skip
    found = [(jobs[0], curves_of({}), ""), (jobs[1], curves_of({"TrainingLoss": [3.0, 2.0]}), "no")]
    page = overlay(found, "TrainingLoss")
    assert page.chart is not None
    assert [(line.name, line.last) for line in page.chart.lines] == [("a", ""), ("b", "2.000")]
    assert (page.names, [job.hyper for job in page.jobs], page.refused) == (["rank"], [["4"], ["8"]], ["no"])


def trial(number: int, loss: float | None, *, best: bool = False, **values: str) -> dict[str, Any]:
    end = "completed" if loss is not None else "failed"
    return {"number": number, "values": values, "end": end, "loss": loss, "steps": 4, "best_step": 4, "best": best}


def test_a_search_is_drawn_across_its_axes_and_as_the_lowest_loss_so_far() -> None:
    study = {
        "best": 2,
        "trials": [
            trial(0, 3.0),
            trial(1, 2.0, rank="4", rate="0.0001"),
            trial(2, 1.0, best=True, rank="64", rate="0.01"),
            trial(3, None, rank="8", rate="0.001"),
            trial(4, 1.5, rank="34", rate="0.001"),
        ],
    }
    page = study_page(study)
    assert [axis.name for axis in page.axes] == ["rank", "rate", "loss"]
    assert [axis.place for axis in page.axes] == ["0.00%", "50.00%", "100.00%"]
    by_number = {line.number: line.points for line in page.lines}
    assert by_number.keys() == {1, 2, 4}  # one has the job's own values, one has no loss
    assert by_number[2] == "0.00,0.00 50.00,0.00 100.00,100.00"
    assert by_number[4].split()[:2] == ["0.00,50.00", "50.00,50.00"]  # evenly; by orders of magnitude
    assert page.lines[-1].best
    assert page.chart is not None
    assert page.chart.lines[0].last == "1.000"
    assert len(page.dots) == 4
    assert [row.loss for row in page.rows] == ["3.0000", "2.0000", "1.0000", "", "1.5000"]


def test_the_gain_of_a_search_has_an_interval_and_a_verdict() -> None:
    first, best = [(2.0 + number / 10, 1) for number in range(30)], [(1.0 + number / 10, 1) for number in range(30)]
    study = {"best": 1, "trials": [], "records": {"0": first, "1": best}}
    gain = study_gain(study)
    assert gain is not None
    assert (gain.key, gain.difference, gain.verdict) == ("study.gain", "−1.0000", "BETTER")
    assert " … " in gain.interval
    assert study_gain(study | {"best": None}) is None
    assert study_gain(study | {"best": 0}) == ("study.gain_none", "", "", "")
    assert study_gain(study | {"records": {}}) == ("study.gain_unknown", "", "", "")
    assert study_gain({"best": 1, "records": "of somebody else"}) is None


def test_a_search_before_its_first_trial_ends_has_a_page() -> None:
    page = study_page({"best": None, "trials": [trial(0, None)]})
    assert (page.lines, page.chart, page.dots) == ([], None, [])


def test_answers_on_the_way_stand_by_prompt_and_the_newest_first() -> None:
    def told(step: int, answer: str) -> dict[str, Any]:
        return {"event": "answers", "step": step, "answers": [{"prompt": "p", "expected": "e", "answer": answer}]}

    (found,) = answered_prompts([told(0, "x"), told(4, "y"), told(4, "z")])
    assert [(each.step, each.text) for each in found.answers] == [(4, "z"), (0, "x")]
