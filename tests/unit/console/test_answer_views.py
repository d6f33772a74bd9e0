"""The console's plain values about answers: tunes and verses, tokens, votes, reports, the sentence of a bake-off, code."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.console.language import texts_of
from outcrop.console.views.answer_code import boto3_code, cli_code
from outcrop.console.views.answer_kinds import told_morae, tune_in, verse_in
from outcrop.console.views.bakeoff_view import bakeoff_page
from outcrop.console.views.conversation_view import asked_answers
from outcrop.console.views.evaluation_report import (  # fmt: skip
    in_order,
    metric_report,
    metrics_in,
    read_lines,
    records_part,
    with_notes,
)
from outcrop.console.views.evaluation_request import KINDS, TASKS, metrics_of
from outcrop.console.views.evaluation_request import read_form as read_evaluation
from outcrop.console.views.evaluation_request import request_of as evaluation_of
from outcrop.console.views.interval_bar import interval_bars
from outcrop.console.views.knowledge_views import SEARCHES, STRATEGIES, KnowledgeForm, ingestion_view, source_request
from outcrop.console.views.rating_view import rating_rows
from outcrop.console.views.token_view import SpelledPieces
from outcrop.console.views.vote_lines import FORMS, CastVote, feedback_lines, line_of, votes_in
from outcrop.evaluation.bakeoff.judging import JudgedBakeoff
from outcrop.evaluation.bakeoff.recommendation import recommendation
from outcrop.evaluation.statistics.comparing import Significance
from tests.unit.evaluation.test_bakeoff_judging import cell, judged

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_every_choice_has_its_words_in_the_table() -> None:
    wanted = {f"knowledge.strategy.{each}" for each in STRATEGIES} | {f"knowledge.by.{each}" for each in SEARCHES}
    wanted |= {f"evaluations.kind.{each}" for each in KINDS} | {f"evaluations.tasks.{each}" for each in TASKS}
    wanted |= {f"evaluations.orders.{each}" for each in ("worst", "difference", "file")}
    wanted |= (
        {f"ratings.{each}" for each in FORMS} | {f"verdict.{each.name}" for each in Significance} | {"verdict.BEST"}
    )
    wanted |= {f"knowledge.{each}" for each in ("scanned", "added", "modified", "deleted", "failed")}
    assert wanted - texts_of("en").keys() == set()


@pytest.mark.parametrize(
    ("text", "begins", "quote"),
    [
        ("Here it is:\n\nX:1\nT:a\nK:G\nGAB c2d|\n\nI like it.", "X:1\nT:a\nK:G\nGAB c2d|", '"'),
        ("|A2 B2 c2|d4 e2|", "X:1\nT:\nL:1/8\nK:C\n|A2 B2 c2|d4 e2|", '"'),
        ("'Am7' A2 B2|'D' c2 d2|", "X:1\nT:\nL:1/8\nK:C\n'Am7'", "'"),
    ],
)
def test_a_tune_is_found_whole_or_as_bare_bars(text: str, begins: str, quote: str) -> None:
    found = tune_in(text)
    assert found is not None
    assert (found.abc.startswith(begins), found.quote) == (True, quote)
    assert "I like it" not in found.abc


@pytest.mark.parametrize("text", ["", "A bad cab.", "| a | b |", "| name | age |\n|---|---|\n| Bob | 3 |", "K:G alone", "X:1\n" + "x" * 9000])  # fmt: skip
def test_what_is_no_tune_is_none(text: str) -> None:
    assert tune_in(text) is None


@pytest.mark.parametrize(
    ("text", "morae"),
    [
        ("ふるいけや かわずとびこむ みずのおと", "5-7-5"),
        (" はるのよの\nゆめのうきはし", "5-7"),
        ("花の色は うつりにけりな", "?-7"),
        ("古池や、蛙飛び込む、水の音", "?-?-?"),
        ("東京です。", ""),
        ("はい、そうです", ""),
        ("The old pond", ""),
        ("これは長い文章であり、俳句ではありません。さらに続きます。", ""),
    ],
)
def test_morae_are_counted_of_verses_alone(text: str, morae: str) -> None:
    assert told_morae(verse_in(text)) == morae


def token(text: bytes, logprob: float) -> dict[str, Any]:
    shown = text.decode("utf-8", "replace")
    return {"token": shown, "bytes": list(text), "logprob": logprob, "top_logprobs": [{"token": shown, "logprob": logprob}]}  # fmt: skip


def test_a_letter_of_several_tokens_is_one_piece_with_the_product_of_their_chances() -> None:
    pieces = SpelledPieces()
    first, second, third = "あ".encode()[:1], "あ".encode()[1:], b"b"
    assert pieces.take([token(first, -0.6931)]) == []
    found = pieces.take([token(second, -0.6931), token(third, 0.0)])
    assert [(each["text"], each["p"]) for each in found] == [("あ", 0.25), ("b", 1.0)]
    assert pieces.rest() == []
    pieces.take([token(first, 0.0)])
    assert [each["text"] for each in pieces.rest()] == ["\ufffd"]


VOTE = CastVote("Who?", "", ("m", "n"), ("I", "You"), 1, seconds=2.5)


def test_a_vote_is_read_back_as_it_was_cast() -> None:
    for vote in (VOTE, VOTE._replace(best=None), VOTE._replace(best=None, is_any_good=False), VOTE._replace(system="Be short.")):  # fmt: skip
        assert list(votes_in([line_of(vote, worker="me", at=NOW)])) == [vote]
    line = json.loads(line_of(VOTE, worker="me", at=NOW))
    (answer,) = line["humanEvaluationResult"]["humanAnswers"]
    assert (answer["workerId"], answer["submissionTime"]) == ("me", "2026-11-30T12:00:00.000Z")
    assert line["modelResponses"][1] == {"modelIdentifier": "n", "response": "You"}
    assert len(line["humanEvaluationResult"]["humanLoopName"]) == 40


def test_votes_of_bedrocks_likert_scale_are_read_too_and_other_lines_passed_over() -> None:
    line = json.loads(line_of(VOTE, worker="me", at=NOW))
    result = {"leftModelResponseId": "0", "rightModelResponseId": "1", "metricName": "Relevance"}
    for given, best in ((1, 0), (3, None), (5, 1)):
        told = [result | {"result": given}]
        line["humanEvaluationResult"]["humanAnswers"][0]["answerContent"] = {"evaluationResults": {"comparisonLikertScale": told}}  # fmt: skip
        (vote,) = votes_in([json.dumps(line).encode()])
        assert vote.best == best
    assert list(votes_in([b"", b"{}", b"[]", b"not json", b'{"humanEvaluationResult": {}}'])) == []


def test_feedback_holds_what_was_chosen_and_nothing_of_draws() -> None:
    with_system = VOTE._replace(system="Be short.")
    votes = [VOTE, VOTE._replace(best=None), with_system, VOTE._replace(answers=("I", " "))]
    chosen = [json.loads(line) for line in feedback_lines(votes, "chosen")]
    assert chosen[0] == {"prompt": "Who?", "completion": "You"}
    assert [message["role"] for message in chosen[1]["messages"]] == ["system", "user", "assistant"]
    assert len(chosen) == 2
    pairs = [json.loads(line) for line in feedback_lines(votes, "preference")]
    assert pairs[0] == {"prompt": "Who?", "chosen": "You", "rejected": "I"}
    assert pairs[1]["rejected"] == [{"role": "assistant", "content": "I"}]


def test_feedback_is_taken_by_a_job() -> None:
    from outcrop.datasets import preference, shapes

    for line in feedback_lines([VOTE, VOTE._replace(system="Be short.")], "chosen"):
        assert shapes.parse(json.loads(line), line=1, customization="FINE_TUNING")
    for line in feedback_lines([VOTE, VOTE._replace(system="Be short.")], "preference"):
        assert preference.parse(json.loads(line), line=1).chosen != ""


def test_ratings_are_rows_with_their_intervals_on_one_scale() -> None:
    first, second = rating_rows([VOTE] * 30)
    assert (first.model, first.num_won, second.may_be_best) == ("n", 30, False)
    assert first.bar is not None
    assert first.bar.high == "96.0%"
    assert rating_rows([]) == []


def test_bars_stand_on_one_scale() -> None:
    assert [None if each is None else each.middle for each in interval_bars([(0, 1, 2), None, (2, 3, 4)])] == ["27.0%", None, "73.0%"]  # fmt: skip
    assert interval_bars([(1, 1, 1)])[0] == ("50.0%", "50.0%", "50.0%")
    assert interval_bars([(float("nan"), 1, 1)]) == [None]


def output(scores: list[Any], *, model: str = "m") -> bytes:
    lines = []
    for number, score in enumerate(scores):
        told = [] if score is None else [{"metricName": "Builtin.Correctness", "result": score, "evaluatorDetails": [{"modelIdentifier": "j", "explanation": f"said {number}"}]}]  # fmt: skip
        without = [] if score is not None else [{"metricName": "Builtin.Correctness", "explanation": "no grade"}]
        lines.append(
            {
                "automatedEvaluationResult": {"scores": told, "outcropUngraded": without},
                "inputRecord": {
                    "prompt": f"q{number}",
                    "referenceResponse": "r",
                    "category": "a" if number % 2 else "b",
                },
                "modelResponses": [{"response": f"{model}{number}", "modelIdentifier": model}],
            }
        )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_a_report_has_means_categories_differences_and_the_worst_records() -> None:
    key = "/models/{}/taskTypes/General/datasets/d/x_output.jsonl"
    sets = [
        read_lines(key.format("worse"), output([0.0, 0.25, None, 0.5] * 6)),
        read_lines(key.format("better"), output([0.5, 0.75, 1.0, 1.0] * 6) + b"no line\n{}\n"),
    ]
    assert metrics_in(sets) == ["Builtin.Correctness"]
    report = metric_report(sets, "Builtin.Correctness")
    assert [(row.source, row.told, row.num, row.num_without) for row in report.rows] == [("worse", "0.250", 18, 6), ("better", "0.812", 24, 0)]  # fmt: skip
    assert (report.verdict, report.difference[:6]) == ("BETTER", "+0.500")
    assert [(row.name, row.num) for row in report.categories] == [("b", 12), ("a", 12)]
    part = records_part(sets, "Builtin.Correctness", "worst", 0)
    assert (part.before, part.after, len(part.records)) == (None, 10, 10)
    assert part.records[0].answers[0] == ("worse", "m0", "0.000", "said 0")
    differing = records_part(sets, "Builtin.Correctness", "difference", 0).records[0]
    assert [answer[2] for answer in differing.answers] == ["0.000", "0.500"]
    assert records_part(sets, "Builtin.Correctness", "file", 20).records[0].number == 21
    assert [each.source for each in in_order(sets, ["better", "worse"])] == ["better", "worse"]


def test_a_report_of_words_counts_them_and_one_of_nothing_says_so() -> None:
    (one,) = [read_lines("/models/m/taskTypes/T/datasets/d/x_output.jsonl", output(["good", "bad", "good"]))]
    report = metric_report([one], "Builtin.Correctness")
    assert (report.rows[0].told, report.verdict) == ("good: 2, bad: 1", "")
    assert records_part([], "x", "worst", 0).records == []
    empty = read_lines("/inference_configs/0/datasets/d/x_output.jsonl", b"")
    assert (empty.source, empty.dataset, metric_report([empty], "x").rows[0].told) == ("0", "d", "–")


def test_lines_of_retrieval_are_read_turn_by_turn() -> None:
    turn = {
        "inputRecord": {"prompt": {"content": [{"text": "q"}]}, "referenceResponses": [{"content": [{"text": "r"}]}]},
        "output": {"text": "a", "retrievedPassages": {"retrievalResults": [{"content": {"text": "p"}}]}},
        "results": [{"metricName": "Builtin.Helpfulness", "result": 1}],
    }
    told = read_lines("/inference_configs/0/datasets/d/x_output.jsonl", json.dumps({"conversationTurns": [turn]}).encode())  # fmt: skip
    (found,) = told.turns
    assert (found.prompt, found.reference, found.answer, found.passages) == ("q", "r", "a", ("p",))
    assert found.scores == {"Builtin.Helpfulness": 1.0}


def test_what_the_summary_says_of_a_metric_stands_beside_it() -> None:
    one = read_lines("/models/m/taskTypes/T/datasets/d/x_output.jsonl", output([1.0, 0.5]))
    again = {"share": 0.75, "numPairs": 20}
    summary = {"results": [{"dataset": "d", "metrics": [{"metricName": "Builtin.Correctness", "judgeAgreesWithItself": again}]}]}  # fmt: skip
    assert with_notes(metric_report([one], "Builtin.Correctness"), summary, "d").agreement == ("75 %", "20")
    assert with_notes(metric_report([one], "Builtin.Correctness"), summary, "other").agreement is None


def test_the_advice_of_a_bakeoff_is_the_sentence_of_the_command_line() -> None:
    for cells in (
        (cell("plain", 0.2, tokens=10), cell("few", 0.5, tokens=100), cell("tuned", 0.51, tokens=10, trained=100_000)),
        (cell("plain", 0.3, tokens=10), cell("dear", 0.32, tokens=900)),
        (cell("only", 0.3, tokens=10),),
        tuple(cell(f"c{number}", 0.3, tokens=10 + number) for number in range(8)),
        (cell("broken", 0.3, tokens=10, failure="no"),),
    ):
        found = judged(*cells)
        told = json.loads(json.dumps(found.to_json()))
        page = bakeoff_page(told, "en")
        assert page.advice == recommendation(found)
        assert [row.name for row in page.rows] == [each.name for each in found.cells]
        assert (page.picture is None) == (len(found.cells) < 2)
        assert " to " not in bakeoff_page(told, "ja").advice
        assert JudgedBakeoff.from_json(told).measure == page.measure


def test_an_evaluation_asks_for_what_was_chosen() -> None:
    form = read_evaluation({"name": "n", "dataset": "s3://b/my questions.jsonl", "model": "m", "second": "", "metric.Builtin.Accuracy": "on", "metric.evil": "on", "max_tokens": "9"})  # fmt: skip
    request = evaluation_of(form, "us-east-1")
    assert request["inferenceConfig"]["models"][0]["bedrockModel"]["modelIdentifier"] == "m"
    (dataset,) = request["evaluationConfig"]["automated"]["datasetMetricConfigs"]
    assert (dataset["metricNames"], dataset["dataset"]["name"]) == (["Builtin.Accuracy"], "my-questions")
    grounded = read_evaluation({"kind": "answers", "model": "m", "knowledge_base": "KB", "judge": "j"})
    told = evaluation_of(grounded, "us-east-1")
    config = told["inferenceConfig"]["ragConfigs"][0]["knowledgeBaseConfig"]["retrieveAndGenerateConfig"]
    assert config["knowledgeBaseConfiguration"]["modelArn"] == "arn:aws:bedrock:us-east-1::foundation-model/m"
    assert told["applicationType"] == "RagEvaluation"
    assert {kind: len(metrics_of(kind)) for kind in KINDS} == {"models": 14, "answers": 10, "retrieval": 2}


def test_a_source_is_cut_as_was_chosen() -> None:
    form = KnowledgeForm(bucket="a.b", prefix="x//y/", strategy="HIERARCHICAL", tokens="100")
    request = source_request(form, "KB")
    assert request["name"] == "a-b-x-y"
    levels = request["vectorIngestionConfiguration"]["chunkingConfiguration"]["hierarchicalChunkingConfiguration"]
    assert [each["maxTokens"] for each in levels["levelConfigurations"]] == [400, 100]
    assert "vectorIngestionConfiguration" not in source_request(form._replace(strategy="DEFAULT"), "KB")
    with pytest.raises(ValueError, match="many: no number of tokens"):
        source_request(form._replace(tokens="many"), "KB")


def test_an_ingestion_names_what_failed() -> None:
    job = {
        "ingestionJobId": "J", "status": "COMPLETE", "startedAt": NOW, "updatedAt": NOW, "statistics": {"numberOfDocumentsFailed": 1},
        "failureReasons": ["s3://b/a: x.pdf: broken.", "The role may not list."],
    }  # fmt: skip
    view = ingestion_view(job, NOW, "en")
    assert view.failures == [("s3://b/a", "x.pdf: broken."), ("", "The role may not list.")]
    assert dict(view.figures)["knowledge.failed"] == "1"


def test_code_of_several_models_is_a_loop_and_of_one_a_call() -> None:
    asked = {"models": [{"id": "m", "turns": []}], "prompt": 'say "hé"', "max_tokens": 5, "temperature": 0}
    one = asked_answers(asked)
    assert 'modelId="m",' in boto3_code(one, "us-east-1")
    assert cli_code(one, "us-east-1").startswith("aws bedrock-runtime converse \\\n    --model-id m")
    several = asked_answers(asked | {"models": [{"id": name, "turns": [["user", "a"], ["assistant", "b"]]} for name in "mn"]})  # fmt: skip
    code = boto3_code(several, "us-east-1")
    assert 'for model in ["m", "n"]:\n' in code
    assert "    modelId=model,\n" in code
    assert '"text": "a"' not in code  # what was said before differs from model to model
    grounded = boto3_code(several._replace(knowledge_base="KB"), "eu-west-1")
    assert '"modelArn": model,' in grounded
    assert "arn:aws:bedrock:eu-west-1::foundation-model/n" in grounded
    for text in (code, grounded, boto3_code(one, "us-east-1")):
        compile(text, "code", "exec")
