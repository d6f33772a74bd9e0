"""A real model through the whole road: SmolLM2-135M-Instruct from a GGUF file, fine-tuned on doctor-patient dialogues.

    outcrop register SmolLM2-135M-Instruct.Q4_1.gguf --id huggingface.smollm2-q4-v1
    outcrop run -- python -m examples.smollm2.summarize --data mts-dialog

Nothing but boto3, and the environment that `outcrop run` sets. Prints what it measures as rows of Markdown.
"""

import argparse
import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BASE, BUCKET = "huggingface.smollm2-q4-v1", "smollm2"
QUESTION = "What is the capital of France? Answer in one sentence."
_PATIENT = Config(retries={"mode": "standard", "max_attempts": 12}, read_timeout=600)


@dataclass(frozen=True, kw_only=True)
class Note:
    """A dialogue and the section of a clinical note that a person has made of it."""

    prompt: str
    summary: str

    @property
    def line(self) -> str:
        """The note as a training record."""
        return json.dumps({"prompt": self.prompt, "completion": self.summary}, ensure_ascii=False)


def read_notes(path: Path, *, most: int, longest: int) -> list[Note]:
    """The first notes of a file of MTS-Dialog, as far as dialogue and summary together are no longer than `longest`."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        asked = f"Summarize the following doctor-patient conversation as the {row['section_header']} section.\n\n"
        note = Note(prompt=asked + row["dialogue"].strip(), summary=row["section_text"].strip())
        if len(note.prompt) + len(note.summary) <= longest:
            found.append(note)
    return found[:most]


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L: F1 over the longest common subsequence of the words.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.1.
    """
    ours, theirs = _words(answer), _words(reference)
    if not ours or not theirs:
        return 0.0
    row = [0] * (len(theirs) + 1)
    for word in ours:
        before = 0
        for place, other in enumerate(theirs, start=1):
            before, row[place] = row[place], before + 1 if word == other else max(row[place], row[place - 1])
    return 2 * row[-1] / (len(ours) + len(theirs))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


class Bedrock:
    """The clients of one installation, and what this program asks of them."""

    def __init__(self) -> None:
        self.models, self.runtime, self.s3 = (
            boto3.client(service, config=_PATIENT) for service in ("bedrock", "bedrock-runtime", "s3")
        )
        self.role = os.environ["OUTCROP_ROLE_ARN"]

    def answer(self, model: str, prompt: str, *, most: int) -> str:
        """The answer of a model to a prompt, at temperature 0."""
        said = self.runtime.converse(
            modelId=model,
            messages=[{"role": "user", "content": [{"text": prompt}]}],
            inferenceConfig={"maxTokens": most, "temperature": 0.0},
        )
        return "".join(block.get("text", "") for block in said["output"]["message"]["content"])

    def train(self, name: str, values: dict[str, str]) -> dict[str, Any]:
        """A finished customization job. Raises SystemExit for one that failed."""
        self.models.create_model_customization_job(
            jobName=name,
            customModelName=name,
            roleArn=self.role,
            baseModelIdentifier=BASE,
            trainingDataConfig={"s3Uri": f"s3://{BUCKET}/train.jsonl"},
            validationDataConfig={"validators": [{"s3Uri": f"s3://{BUCKET}/validation.jsonl"}]},
            outputDataConfig={"s3Uri": f"s3://{BUCKET}/out"},
            hyperParameters=values,
        )
        while True:
            job: dict[str, Any] = self.models.get_model_customization_job(jobIdentifier=name)
            if job["status"] not in ("InProgress", "Stopping"):
                break
            time.sleep(2)
        if job["status"] != "Completed":
            raise SystemExit(f"{job['status']}: {job.get('failureMessage')}")
        return job

    def losses(self, job: dict[str, Any]) -> tuple[float, float]:
        """The held-out loss of the base model, and that of the custom model."""
        folder = f"out/model-customization-job-{job['jobArn'].rsplit('/', 1)[-1]}"
        found = self.s3.get_object(Bucket=BUCKET, Key=f"{folder}/validation_artifacts/held_out.json")
        (scores,) = json.loads(found["Body"].read())
        return scores["base"]["loss"], scores["custom"]["loss"]

    def deploy(self, name: str, model: str) -> str:
        """The ARN of a deployment that serves. Raises SystemExit for one that does not."""
        made = self.models.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
        arn = str(made["customModelDeploymentArn"])
        while True:
            row = self.models.get_custom_model_deployment(customModelDeploymentIdentifier=arn)
            if row["status"] != "Creating":
                break
            time.sleep(1)
        if row["status"] != "Active":
            raise SystemExit(f"{row['status']}: {row.get('failureMessage')}")
        return arn


def score(bedrock: Bedrock, model: str, notes: Sequence[Note]) -> float:
    """Mean ROUGE-L of a model's summaries."""
    return sum(rouge_l(bedrock.answer(model, note.prompt, most=96), note.summary) for note in notes) / len(notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl and validation.jsonl")
    parser.add_argument("--records", type=int, default=400, help="training records")
    parser.add_argument("--longest", type=int, default=700, help="letters of a training record")
    parser.add_argument("--questions", type=int, default=40, help="held-out dialogues that are summarized")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="clinical-notes")
    asked = parser.parse_args()

    bedrock = Bedrock()
    training = read_notes(asked.data / "train.jsonl", most=asked.records, longest=asked.longest)
    held_out = read_notes(asked.data / "validation.jsonl", most=asked.questions, longest=asked.longest)
    bedrock.s3.create_bucket(Bucket=BUCKET)
    for key, notes in (("train.jsonl", training), ("validation.jsonl", held_out)):
        bedrock.s3.put_object(Bucket=BUCKET, Key=key, Body="\n".join(note.line for note in notes).encode())
    print(f"> {QUESTION}\n{bedrock.answer(BASE, QUESTION, most=40)}\n", flush=True)

    began = time.monotonic()
    values = {"epochCount": str(asked.epochs), "batchSize": "8", "outcrop.evaluationsPerEpoch": "2"}
    values |= {"outcrop.seed": str(asked.seed)}
    job = bedrock.train(asked.name, values)
    minutes = (time.monotonic() - began) / 60
    base_loss, loss = bedrock.losses(job)
    deployment = bedrock.deploy(asked.name, job["outputModelArn"])
    base_rouge, rouge = score(bedrock, BASE, held_out), score(bedrock, deployment, held_out)
    print(f"{len(training)} records, {asked.epochs} epoch(s), seed {asked.seed}: {minutes:.1f} minutes\n")
    print("| model | held-out loss | ROUGE-L |\n|---|---|---|")
    print(f"| base | {base_loss:.3f} | {base_rouge:.3f} |\n| fine-tuned | {loss:.3f} | {rouge:.3f} |")
    example = held_out[0]
    print(
        f"\n{example.prompt}\n\nperson: {example.summary}\ntuned: {bedrock.answer(deployment, example.prompt, most=96)}"
    )


if __name__ == "__main__":
    main()
