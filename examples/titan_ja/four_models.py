"""Japanese for a model that hardly has it: continued pre-training in five jobs, then fine-tuning, four models compared.

    outcrop run -- python -m examples.titan_ja.four_models              # from the root of a clone

boto3 calls only; the same program runs against Amazon Bedrock (see README.md). Where to go and under which role the
jobs run is said by the environment: AWS_ENDPOINT_URL, keys, region, and OUTCROP_ROLE_ARN. Texts and rows are made up
(`compose.py`), or yours: --texts, --dolly and --questions.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from outcrop.evaluation.bakeoff.table import bakeoff_text

from .bakeoff import AT_ONCE, judge, needs
from .compose import compose, write
from .measures import exact_match, f1, items, language, mean

PATIENT = Config(retries={"mode": "standard", "max_attempts": 20}, read_timeout=300)
EPOCHS = ("1", "5")


class Clients(NamedTuple):
    """The services that are spoken to."""

    s3: Any
    bedrock: Any
    runtime: Any


class Answer(NamedTuple):
    """A model's answer, whether it went on until the token limit, and what it took."""

    text: str
    is_endless: bool
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


def main() -> None:
    started = time.time()
    options = parse_options()
    clients = Clients(*(boto3.client(name, config=PATIENT) for name in ("s3", "bedrock", "bedrock-runtime")))
    run = f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with tempfile.TemporaryDirectory() as work:
        heading("1  Texts, and dolly rows made into records")
        files, train, validation, questions = prepare(Path(work), options)
        bucket = upload(clients.s3, run, [*files, train, validation])
    heading("2  Continued pre-training, each job on the model of the one before")
    parents = {"base": options.base, "cpt": pre_train(clients, run, bucket, files, options)}
    heading("3  Fine-tuning of both, for 1 and for 5 epochs")
    models = fine_tune(clients, run, bucket, parents, options)
    heading("4  The same questions to all of them")
    answers = ask_models(clients, run, models, questions, options)
    report = {"models": {name: measured(questions, given) for name, given in answers.items()}}
    show(report["models"])
    show_examples(questions, answers)
    heading("5  All of it as a bake-off: questions with a reference")
    judged = judge(questions, answers, needs(clients, run, len(files)), options)
    print(bakeoff_text(judged))
    seconds = round(time.time() - started, 1)
    if options.report:
        texts = {name: [answer.text for answer in given] for name, given in answers.items()}
        told = report | {"bakeoff": judged.to_json(), "seconds": seconds, "questions": questions, "answers": texts}
        options.report.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(f"\nDone in {seconds:.0f} s.")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Five jobs of continued pre-training, then fine-tuning; four models.")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model id")
    parser.add_argument("--texts", type=Path, nargs="+", help="JSON Lines of {'input'}, one file a job of pre-training")
    parser.add_argument("--dolly", type=Path, help="rows of databricks-dolly-15k-ja, in any form `outcrop data` reads")
    parser.add_argument("--questions", type=Path, help="JSON Lines of task, prompt and reference (or null)")
    parser.add_argument("--most-questions", type=int, default=24, help="of each task")
    parser.add_argument("--max-tokens", type=int, default=64, help="longest answer")
    parser.add_argument("--batch-size", default="8")
    parser.add_argument("--seed", type=int, default=1, help="of the made-up data and the split")
    parser.add_argument("--hyper", action="append", default=[], help="NAME=VALUE for every job; may be repeated")
    parser.add_argument("--provisioned", action="store_true", help="buy a model unit for each model while it is asked")
    parser.add_argument("--name", default="titan-ja", help="beginning of every name this run uses")
    parser.add_argument("--report", type=Path, help="also write numbers and answers here, as JSON")
    return parser.parse_args()


def prepare(work: Path, options: argparse.Namespace) -> tuple[list[Path], Path, Path, list[dict[str, Any]]]:
    """The texts, the records for training and validation, and the questions."""
    write(compose(seed=options.seed), work / "composed")
    texts = options.texts or sorted((work / "composed").glob("cpt-*.jsonl"))
    dolly = options.dolly or work / "composed/dolly.json"
    command = [sys.executable, "-m", "outcrop.cli.app", "data", "dolly", str(dolly), "--out", str(work / "dolly")]
    subprocess.run([*command, "--seed", str(options.seed)], check=True)
    lines = (options.questions or work / "composed/questions.jsonl").read_text("utf-8").splitlines()
    return (
        list(texts),
        work / "dolly/train.jsonl",
        work / "dolly/validation.jsonl",
        few_of_each([json.loads(line) for line in lines if line.strip()], options.most_questions),
    )


def few_of_each(questions: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most so many questions of each task, evenly over what there is."""
    chosen = []
    for task in dict.fromkeys(question["task"] for question in questions):
        of_task = [question for question in questions if question["task"] == task]
        count = min(most, len(of_task))
        chosen += [of_task[number * len(of_task) // count] for number in range(count)]
    return chosen


def upload(s3: Any, run: str, files: Sequence[Path]) -> str:
    bucket = f"{run}-data"
    region = s3.meta.region_name
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **place)
    for path in files:
        s3.upload_file(str(path), bucket, path.name)
    print(f"  {len(files)} files -> s3://{bucket}/")
    return bucket


def pre_train(clients: Clients, run: str, bucket: str, texts: Sequence[Path], options: argparse.Namespace) -> str:
    model: str = options.base
    for number, text in enumerate(texts, start=1):
        name = f"{run}-text-{number}"
        start(clients, name, model, bucket, text.name, None, options, kind="CONTINUED_PRE_TRAINING", epochs="1")
        model = finished(clients, name)
    return model


def fine_tune(
    clients: Clients, run: str, bucket: str, parents: dict[str, str], options: argparse.Namespace
) -> dict[str, str]:
    """All four jobs are handed in at once, and wait for each other where there is one machine."""
    wanted = [(f"{parent}, epochs {count}", parent, count) for parent in parents for count in EPOCHS]
    for _, parent, count in wanted:
        start(
            clients, f"{run}-{parent}-{count}", parents[parent], bucket, "train.jsonl", "validation.jsonl", options,
            kind="FINE_TUNING", epochs=count,
        )  # fmt: skip
    return {label: finished(clients, f"{run}-{parent}-{count}") for label, parent, count in wanted}


def start(
    clients: Clients,
    name: str,
    base: str,
    bucket: str,
    train: str,
    validation: str | None,
    options: argparse.Namespace,
    *,
    kind: str,
    epochs: str,
) -> None:
    validators = [{"s3Uri": f"s3://{bucket}/{validation}"}] if validation else []
    clients.bedrock.create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=os.environ["OUTCROP_ROLE_ARN"],
        baseModelIdentifier=base,
        customizationType=kind,
        trainingDataConfig={"s3Uri": f"s3://{bucket}/{train}"},
        outputDataConfig={"s3Uri": f"s3://{bucket}/output/"},
        hyperParameters={
            "epochCount": epochs,
            "batchSize": options.batch_size,
            **dict(each.split("=", 1) for each in options.hyper),
        },
        **({"validationDataConfig": {"validators": validators}} if validators else {}),
    )


def finished(clients: Clients, name: str) -> str:
    """Wait for a job, and return its model's ARN."""
    started = time.time()
    job = wait_while(
        ("InProgress", "Stopping"), lambda: clients.bedrock.get_model_customization_job(jobIdentifier=name)
    )
    if job["status"] != "Completed":
        sys.exit(f"The job {name} ended as {job['status']}: {job.get('failureMessage', 'no message')}")
    loss = job.get("trainingMetrics", {}).get("trainingLoss")
    told = "" if loss is None else f"training loss {loss:.3f}, "
    print(f"  {name}: {told}waited {time.time() - started:.0f} s", flush=True)
    return str(job["outputModelArn"])


def wait_while(status: Sequence[str], look: Callable[[], Any]) -> Any:
    while (seen := look())["status"] in status:
        time.sleep(0.5)
    return seen


def ask_models(
    clients: Clients,
    run: str,
    models: dict[str, str],
    questions: Sequence[dict[str, Any]],
    options: argparse.Namespace,
) -> dict[str, list[Answer]]:
    """The base's answers, and those of each custom model, which can be invoked for as long as that takes."""
    serve = provisioned if options.provisioned else on_demand
    answers = {} if options.provisioned else {"base": ask_all(clients, options.base, questions, options)}
    for number, (label, model) in enumerate(models.items(), start=1):
        arn, remove = serve(clients, f"{run}-{number}", model)
        try:
            answers[label] = ask_all(clients, arn, questions, options)
        finally:
            remove()
        print(f"  {label}: {len(questions)} questions answered", flush=True)
    return answers


def on_demand(clients: Clients, name: str, model: str) -> tuple[str, Callable[[], Any]]:
    made = clients.bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
    arn = str(made["customModelDeploymentArn"])
    seen = wait_while(
        ("Creating",),
        lambda: clients.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn),
    )
    if seen["status"] != "Active":
        sys.exit(f"The deployment of {model} failed: {seen.get('failureMessage')}")
    return arn, lambda: clients.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)


def provisioned(clients: Clients, name: str, model: str) -> tuple[str, Callable[[], Any]]:
    """A model unit without commitment. It is paid by the hour while it exists, so it is given back at once."""
    made = clients.bedrock.create_provisioned_model_throughput(modelUnits=1, provisionedModelName=name, modelId=model)
    arn = str(made["provisionedModelArn"])
    seen = wait_while(
        ("Creating", "Updating"), lambda: clients.bedrock.get_provisioned_model_throughput(provisionedModelId=arn)
    )
    if seen["status"] != "InService":
        sys.exit(f"The throughput for {model} failed: {seen.get('failureMessage')}")
    return arn, lambda: clients.bedrock.delete_provisioned_model_throughput(provisionedModelId=arn)


def ask_all(
    clients: Clients, model: str, questions: Sequence[dict[str, Any]], options: argparse.Namespace
) -> list[Answer]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda each: ask(clients, model, each["prompt"], options.max_tokens), questions))


def ask(clients: Clients, model: str, prompt: str, max_tokens: int) -> Answer:
    began = time.monotonic()
    answer = clients.runtime.converse(
        modelId=model,
        messages=[{"role": "user", "content": [{"text": prompt}]}],
        inferenceConfig={"maxTokens": max_tokens, "temperature": 0},
    )
    text = "".join(block.get("text", "") for block in answer["output"]["message"]["content"])
    usage = answer["usage"]
    return Answer(
        text=text.strip(),
        is_endless=answer["stopReason"] == "max_tokens",
        input_tokens=usage["inputTokens"],
        output_tokens=usage["outputTokens"],
        seconds=time.monotonic() - began,
    )


def measured(questions: Sequence[dict[str, Any]], answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """By task: how many were asked, and means over them."""
    result = {}
    for task in dict.fromkeys(question["task"] for question in questions):
        of_task = [(q, a) for q, a in zip(questions, answers, strict=True) if q["task"] == task]
        result[task] = {
            "questions": len(of_task),
            "japanese": mean([language(answer.text) == "ja" for _, answer in of_task]),
            "characters": mean([len(answer.text) for _, answer in of_task]),
            "endless": mean([answer.is_endless for _, answer in of_task]),
            **_right(of_task),
            **_listed(of_task),
        }
    return result


def _right(asked: Sequence[tuple[dict[str, Any], Answer]]) -> dict[str, float]:
    known = [(question["reference"], answer.text) for question, answer in asked if question.get("reference")]
    if not known:
        return {}
    return {
        "exact_match": mean([exact_match(given, reference) for reference, given in known]),
        "f1": mean([f1(given, reference) for reference, given in known]),
    }


def _listed(asked: Sequence[tuple[dict[str, Any], Answer]]) -> dict[str, float]:
    lists = [(question, items(answer.text)) for question, answer in asked if question.get("num_items")]
    if not lists:
        return {}
    return {
        "items": mean([len(named) for _, named in lists]),
        "asked_items": mean([question["num_items"] for question, _ in lists]),
        "right_number": mean([len(named) == question["num_items"] for question, named in lists]),
        "fitting_items": mean([mean([one in question["among"] for one in named]) for question, named in lists]),
    }


COLUMNS = {
    "japanese": "Japanese",
    "characters": "letters",
    "endless": "endless",
    "exact_match": "exact",
    "f1": "F1",
    "items": "items",
    "right_number": "as asked",
    "fitting_items": "fitting",
}


def show(models: dict[str, dict[str, dict[str, float]]]) -> None:
    for task in next(iter(models.values())):
        first = next(iter(models.values()))[task]
        columns = {key: name for key, name in COLUMNS.items() if key in first}
        print(f"\n  {task} ({first['questions']:.0f} questions)")
        print(f"    {'':16}" + "".join(f"{name:>10}" for name in columns.values()))
        for label, by_task in models.items():
            cells = (_cell(key, by_task[task][key]) for key in columns)
            print(f"    {label:16}" + "".join(f"{cell:>10}" for cell in cells))


def _cell(key: str, value: float) -> str:
    return f"{value:.1f}" if key in ("characters", "items") else f"{value:.0%}"


def show_examples(questions: Sequence[dict[str, Any]], answers: dict[str, list[Answer]]) -> None:
    """The first question of each task, with everybody's answer on one line."""
    for task in dict.fromkeys(question["task"] for question in questions):
        number = next(n for n, question in enumerate(questions) if question["task"] == task)
        print(f"\n  {questions[number]['prompt'].splitlines()[0]}")
        for label, given in answers.items():
            print(f"    {label:16}| {' / '.join(given[number].text.splitlines())[:80]}")


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
