"""The report of a comparison: means, differences and verdicts of known answers, as text, JSON and a page."""

import json
import math
from datetime import UTC, datetime

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation import measures
from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, LogProbabilities
from outcrop.evaluation.collecting import CollectedAnswers, CollectedCost
from outcrop.evaluation.measures import LikelihoodMeasure
from outcrop.evaluation.questions import read_questions
from outcrop.evaluation.report import as_html, as_json, as_text
from outcrop.evaluation.report.building import report_of
from outcrop.evaluation.report.value import (
    ComparisonReport,
    ContaminationReport,
    FoundRecord,
    LearnedFrom,
    MeasureReport,
)
from outcrop.evaluation.statistics.intervals import MeanEstimate

NUM = 40
QUESTIONS = read_questions(
    [
        json.dumps({"prompt": f"q{n} <b>", "completion": f"a{n}", "category": "even" if n % 2 == 0 else "odd"}).encode()
        for n in range(NUM)
    ],
    name="t.jsonl",
)
COST = CollectedCost(num_asked=80, num_kept=0, num_prompt_tokens=1000, num_completion_tokens=200, seconds=1.5)
BASE, TUNED = "outcrop.starter-v1", "tuned"


def model(name: str, num_right: int, nats: float, *, num_tokens: int = 4, num_seeds: int = 1) -> CollectedAnswers:
    """A model that answers the first questions rightly."""

    def said(number: int) -> EvaluatedAnswer | str:
        text = f"a{number}" if number < num_right else "no"
        return EvaluatedAnswer(text=text, num_prompt_tokens=5, num_completion_tokens=2, stop_reason="stop", seconds=0.1)

    return CollectedAnswers(
        name=name,
        answers=[[said(number)] * num_seeds for number in range(NUM)],
        likelihoods=[
            LogProbabilities(nats=-nats - 0.01 * number, num_tokens=num_tokens, num_bytes=8) for number in range(NUM)
        ],
        cost=COST,
    )


def reported(*models: CollectedAnswers, num_seeds: int = 1, **more: object) -> ComparisonReport:
    return report_of(
        QUESTIONS,
        models,
        measures.find(["loss", "bits_per_byte", "exact_match"]),
        name="t.jsonl",
        settings=AnswerSettings(),
        num_seeds=num_seeds,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        **more,  # type: ignore[arg-type]
    )


def mean_of(measure: MeasureReport) -> MeanEstimate:
    """The baseline's mean of a measure."""
    found = measure.means[BASE]
    assert found is not None
    return found


def test_values_means_and_verdicts_are_those_of_the_answers() -> None:
    report = reported(model(BASE, 10, 8.0), model(TUNED, 30, 6.0))
    loss, bits, exact = report.measures
    assert mean_of(loss).mean == pytest.approx((8.0 + 0.01 * 19.5) / 4)
    assert mean_of(exact).mean == 0.25
    assert mean_of(exact).method == "Wilson"
    (by_loss,), (by_bits,), (by_exact,) = loss.differences, bits.differences, exact.differences
    assert by_loss.difference == pytest.approx(-0.5)
    assert by_bits.difference == pytest.approx(-2.0 / 8 / math.log(2))
    assert (by_loss.significance, by_exact.significance) == ("better", "better")
    assert by_exact.num_differing == 20
    assert set(exact.categories) == {"even", "odd"}
    assert report.records[10].values["exact_match"] == {BASE: 0.0, TUNED: 1.0}
    assert report.records[10].answers == {BASE: ("no",), TUNED: ("a10",)}


def test_a_model_against_itself_is_not_better() -> None:
    report = reported(model(BASE, 10, 8.0), model(TUNED, 10, 8.0))
    assert {each.differences[0].significance for each in report.measures} == {"no difference"}


def test_losses_over_other_tokens_are_not_compared() -> None:
    loss, bits, _ = reported(model(BASE, 10, 8.0), model(TUNED, 30, 6.0, num_tokens=5)).measures
    assert loss.differences == ()
    assert loss.note.startswith("The models make different tokens")
    assert bits.differences[0].significance == "better"


def test_several_answers_to_a_question_are_one_record() -> None:
    report = reported(model(BASE, 10, 8.0, num_seeds=3), model(TUNED, 30, 6.0, num_seeds=3), num_seeds=3)
    exact = report.measures[2]
    assert (mean_of(exact).num_records, mean_of(exact).method) == (NUM, "bootstrap")
    assert exact.differences[0].num_records == NUM
    assert report.records[0].answers[BASE] == ("a0", "a0", "a0")


def test_the_text_fits_80_columns_and_says_what_is_so() -> None:
    long = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
    found = FoundRecord(id="t.jsonl:3", likeness=1.0, where="train.jsonl:7")
    learned = LearnedFrom(model=TUNED, compared=TUNED, num_records=100, found=(found,))
    (by_bits,) = measures.find(["bits_per_byte"])
    assert isinstance(by_bits, LikelihoodMeasure)
    models = [model(BASE, 10, 8.0), model(TUNED, 30, 6.0), model(long, 12, 8.0)]
    told = as_text.of_report(
        reported(
            *models,
            general=("Texts", QUESTIONS, models, by_bits),
            contamination=ContaminationReport(learned=(learned,), notes=("Of others nothing is known.",)),
        )
    )
    lines = told.splitlines()
    assert [line for line in lines if len(line) > 80 and long not in line] == []
    assert lines[0] == "t.jsonl: 40 questions"
    assert lines[1].startswith("CONTAMINATED: tuned learned from 1 of the 40 test records, or nearly so:")
    assert "outcrop.starter-v1 0.250 0.142 to 0.402" in [" ".join(line.split()) for line in lines]
    assert any(line.endswith("better") and line.strip().startswith("+0.500") for line in lines)
    assert any(line.endswith("not significant") for line in lines)
    assert long in told
    assert "bits_per_byte of 40 general texts" in told
    assert "perplexity" in told


def test_json_holds_everything_and_the_page_escapes_every_text() -> None:
    report = reported(model(BASE, 10, 8.0), model(TUNED, 30, 6.0))
    told = json.loads(json.dumps(as_json.of_report(report)))
    assert told["models"] == [BASE, TUNED]
    assert told["measures"][2]["differences"][0]["verdict"] == "better"
    assert len(told["records"]) == NUM
    page = as_html.of_report(report)
    assert "q3 &lt;b&gt;" in page
    assert "<b>q3" not in page
    assert "q3 <b>" not in page
    assert "<script" not in page
    assert "better on 20, worse on 0, the same on 20" in page


def test_a_measure_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(Invalid, match="rouge_9"):
        measures.find(["rouge_9"])
    assert [each.name for each in measures.find(["loss", "loss", "contains"])] == ["loss", "contains"]
