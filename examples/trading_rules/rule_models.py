"""A model that learns to answer from passages: questions made of the rules, behind what is found for them."""

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import boto3

from outcrop.cli.grounded_recipe import grounding
from outcrop.documents.sentences import sentences_of
from outcrop.recipes.grounded import grounded
from outcrop.recipes.recipe import Kept

from .rule_base import ON_AWS, PATIENT, RuleBase, wait_while
from .rule_files import Rule

SHORTEST, LONGEST = 60, 360
"Characters of a sentence that is taken as an answer."


@dataclass(frozen=True, kw_only=True)
class LearnedModel:
    """A custom model, its deployment, and what its job has measured."""

    deployment: str
    records: int
    minutes: float
    loss: float


def questions_of(rules: Sequence[Rule], *, but: Sequence[str], seed: int) -> Iterator[dict[str, str]]:
    """A question on the heading of each rule, with the first sentence of its text that is short enough; shuffled.

    Rules that are asked about later, `but`, are left out: nothing of the key is learned.
    """
    order = [rule for rule in rules if rule.id not in but]
    Random(seed).shuffle(order)
    for rule in order:
        about = re.sub(r"^\W*[\w.–-]+\.\s*", "", rule.title).rstrip(".")
        sentence = next(filter(_is_answer, _sentences(rule)), None)
        if sentence is not None:
            yield {"question": f"What do the rules say about this: {about}?", "answer": sentence}


def records_of(base: RuleBase, pairs: Iterator[dict[str, str]], folder: Path, *, most: int) -> list[dict[str, str]]:
    """Training records by the recipe `grounded`: what RetrieveAndGenerate asks, and the answer with its marks."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "questions.jsonl"
    # Some answers are not found among the passages, and such records are left out.
    taken = islice(pairs, 3 * most)
    source.write_text("".join(json.dumps(pair) + "\n" for pair in taken), "utf-8")
    ground = grounding(base.runtime, base.id, base.results)
    kept = (item.record for item in grounded([source], ground=ground) if isinstance(item, Kept))
    return [dict(record) for record in islice(kept, most)]


def customize(base: RuleBase, name: str, model: str, records: Sequence[dict[str, str]], epochs: int) -> LearnedModel:
    """Fine-tune the model on records, a tenth of them held out, and deploy it. Ends the program where that fails."""
    bedrock = boto3.client("bedrock", config=PATIENT)
    num_held_out = max(1, len(records) // 10)
    for key, some in (("validation", records[:num_held_out]), ("train", records[num_held_out:])):
        body = "".join(json.dumps(record) + "\n" for record in some).encode()
        base.s3.put_object(Bucket=base.bucket, Key=f"records/{key}.jsonl", Body=body)
    began = time.monotonic()
    bedrock.create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=base.role,
        baseModelIdentifier=model,
        trainingDataConfig={"s3Uri": f"s3://{base.bucket}/records/train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": f"s3://{base.bucket}/records/validation.jsonl"}]},
        outputDataConfig={"s3Uri": f"s3://{base.bucket}/jobs/"},
        hyperParameters={"epochCount": str(epochs), "batchSize": "8" if not ON_AWS else "1"},
    )
    job = wait_while(
        ("InProgress", "Stopping"), lambda: bedrock.get_model_customization_job(jobIdentifier=name), every_s=2.0
    )
    if job["status"] != "Completed":
        sys.exit(f"The job {name} ended as {job['status']}: {job.get('failureMessage', 'no message')}")
    minutes = (time.monotonic() - began) / 60
    loss = float(job["validationMetrics"][0]["validationLoss"])
    deployment = _deploy(bedrock, name, job["outputModelArn"])
    return LearnedModel(deployment=deployment, records=len(records) - num_held_out, minutes=minutes, loss=loss)


def _deploy(bedrock: Any, name: str, model: str) -> str:
    made = bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
    arn = str(made["customModelDeploymentArn"])
    ended = wait_while(("Creating",), lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn))
    if ended["status"] != "Active":
        sys.exit(f"The deployment {name} failed: {ended.get('failureMessage')}")
    return arn


def _sentences(rule: Rule) -> Iterator[str]:
    """The sentences of a rule's text, without its headings."""
    text = "\n".join(line for line in rule.body.decode("utf-8", "ignore").splitlines() if not line.startswith("#"))
    yield from (" ".join(sentence.split()) for sentence in sentences_of(text))


def _is_answer(sentence: str) -> bool:
    return SHORTEST <= len(sentence) <= LONGEST and sentence.endswith(".") and sentence[0].isupper()
