"""From a dataset to a custom model that answers, in plain boto3 calls; the same program runs against Amazon Bedrock.

    outcrop run -- python examples/quickstart.py                       # linked verse, the data beside this file
    outcrop run -- python examples/quickstart.py --train my.jsonl --validation v.jsonl --test t.jsonl

Bring the data into a bucket, customize, deploy on demand, ask base and custom model the same questions. The measure of
linked verse is objective: does an answer have exactly 7 and 7 morae? The environment says where to go
(AWS_ENDPOINT_URL, keys, region) and which role the job runs under (OUTCROP_ROLE_ARN).
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from renga.mora import is_seven_seven, wilson_interval

HERE = Path(__file__).parent / "renga"
PATIENT = Config(retries={"mode": "standard", "max_attempts": 20}, read_timeout=300)


def main() -> None:
    started = time.time()
    options = parse_options()
    s3, bedrock, runtime = (boto3.client(name, config=PATIENT) for name in ("s3", "bedrock", "bedrock-runtime"))
    run = f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}"

    heading("1  Data into a bucket")
    bucket = upload(s3, run, options)

    heading("2  A customization job")
    job_arn = create_job(bedrock, run, bucket, options)
    output = Output(s3, bucket, job_arn)
    job = watch(bedrock, job_arn, output)
    if job["status"] != "Completed":
        sys.exit(f"The job ended as {job['status']}: {job.get('failureMessage', 'no message')}")
    print_held_out(output.read_json("validation_artifacts/held_out.json"))

    heading("3  A deployment, on demand")
    deployment = deploy(bedrock, run, job["outputModelArn"])

    heading("4  The same questions to base and custom model")
    models = {"base": options.base, "custom": deployment}
    test = read_records(options.test)[: options.questions]
    answers = {name: ask_all(runtime, model, test, options.max_tokens) for name, model in models.items()}
    report = measure(test, answers, output)
    show_examples(test, answers)

    report["seconds"] = round(time.time() - float(os.environ.get("QUICKSTART_STARTED", started)), 1)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nDone in {report['seconds']:.0f} s. The custom model is {job['outputModelName']}; invoke it with")
    print(f"  modelId={deployment}")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fine-tune, deploy and compare, through the Amazon Bedrock API.")
    parser.add_argument("--train", type=Path, default=HERE / "train.jsonl")
    parser.add_argument("--validation", type=Path, default=HERE / "validation.jsonl")
    parser.add_argument("--test", type=Path, default=HERE / "test.jsonl")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model id")
    parser.add_argument("--name", default="renga", help="beginning of every name this run uses")
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--batch-size", default="16")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--questions", type=int, default=200, help="how many test records to ask both models")
    parser.add_argument("--max-tokens", type=int, default=32, help="longest answer in the comparison")
    parser.add_argument("--report", type=Path, help="also write the result here, as JSON")
    return parser.parse_args()


def upload(s3: Any, run: str, options: argparse.Namespace) -> str:
    bucket = f"quickstart-{run}"
    s3.create_bucket(Bucket=bucket)
    for name in ("train", "validation", "test"):
        path = getattr(options, name)
        s3.upload_file(str(path), bucket, f"{name}.jsonl")
        print(f"  {path.name:18} -> s3://{bucket}/{name}.jsonl")
    return bucket


def create_job(bedrock: Any, run: str, bucket: str, options: argparse.Namespace) -> str:
    answer = bedrock.create_model_customization_job(
        jobName=run,
        customModelName=run,
        roleArn=os.environ["OUTCROP_ROLE_ARN"],
        baseModelIdentifier=options.base,
        customizationType="FINE_TUNING",
        trainingDataConfig={"s3Uri": f"s3://{bucket}/train.jsonl"},
        # The first validator steers early stopping; the second is only measured, on the base and on the result.
        validationDataConfig={"validators": [{"s3Uri": f"s3://{bucket}/{f}.jsonl"} for f in ("validation", "test")]},
        outputDataConfig={"s3Uri": f"s3://{bucket}/output/"},
        hyperParameters={
            "epochCount": options.epochs,
            "batchSize": options.batch_size,
            "outcrop.seed": options.seed,
            "outcrop.evaluationsPerEpoch": "2",
        },
    )
    print(f"  {answer['jobArn']}")
    return str(answer["jobArn"])


class Output:
    """The folder that a job writes into its output bucket while it runs."""

    def __init__(self, s3: Any, bucket: str, job_arn: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = f"output/model-customization-job-{job_arn.rsplit('/', 1)[-1]}"

    def read(self, path: str) -> str | None:
        """A file of the folder, None while it is not there."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=f"{self._folder}/{path}")
        except self._s3.exceptions.NoSuchKey:
            return None
        return str(answer["Body"].read().decode())

    def read_json(self, path: str) -> Any:
        return json.loads(self.read(path) or "null")


def watch(bedrock: Any, job_arn: str, output: Output) -> Any:
    """Print the preflight report once it is there, then a progress bar, until the job ends."""
    preflight_shown, shown = False, ""
    while True:
        job = bedrock.get_model_customization_job(jobIdentifier=job_arn)
        if not preflight_shown and (report := output.read("preflight/report.txt")):
            print(indented(report))
            preflight_shown = True
        if progress := output.read_json("training_artifacts/progress.json"):
            shown = show_progress(progress, shown, final=job["status"] == "Completed")
        if job["status"] not in ("InProgress", "Stopping"):
            return job
        time.sleep(0.5)


def show_progress(progress: Any, shown: str, *, final: bool) -> str:
    """One line that grows on a terminal, about ten lines in a log; returns what is shown now."""
    done, total = progress["step"], progress["steps"]
    bar = "#" * (30 * done // total)
    line = f"  [{bar:<30}] step {done}/{total}  loss {progress['loss']:.3f}  {progress['seconds_left']:.0f} s left"
    if sys.stdout.isatty():
        print(f"\r{line:<90}", end="\n" if final else "", flush=True)
        return line
    tenth = f"{10 * done // total} of 10"
    if tenth != shown:
        print(line, flush=True)
    return tenth


def print_held_out(results: Any) -> None:
    print("  Held out, never trained on:      base            custom")
    for result in results:
        base, custom = result["base"], result["custom"]
        print(f"    {result['file']:18} perplexity {base['perplexity']:9.2f} -> {custom['perplexity']:9.2f}", end="")
        print(f"   bits per byte {base['bits_per_byte']:.3f} -> {custom['bits_per_byte']:.3f}")


def deploy(bedrock: Any, run: str, model_arn: str) -> str:
    answer = bedrock.create_custom_model_deployment(modelDeploymentName=run, modelArn=model_arn)
    arn = str(answer["customModelDeploymentArn"])
    status = wait_while("Creating", lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn))
    if status["status"] != "Active":
        sys.exit(f"The deployment failed: {status.get('failureMessage')}")
    print(f"  Active, after the engine gave the trainer's own log probabilities: {arn}")
    return arn


def wait_while(status: str, look: Callable[[], Any]) -> Any:
    while (seen := look())["status"] == status:
        time.sleep(0.3)
    return seen


def read_records(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def ask_all(runtime: Any, model: str, records: list[dict[str, str]], max_tokens: int) -> list[str]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda record: ask(runtime, model, record["prompt"], max_tokens), records))


def ask(runtime: Any, model: str, prompt: str, max_tokens: int) -> str:
    body = {"prompt": prompt, "max_gen_len": max_tokens, "temperature": 0}
    answer = runtime.invoke_model(modelId=model, body=json.dumps(body))
    return str(json.loads(answer["body"].read())["generation"])


def measure(test: list[dict[str, str]], answers: dict[str, list[str]], output: Output) -> dict[str, Any]:
    """The result of both models: bits per byte of the test file and, for verses, the share that is exactly 7-7."""
    held_out = output.read_json("validation_artifacts/held_out.json")[-1]
    report: dict[str, Any] = {
        name: {measure: held_out[name][measure] for measure in ("bits_per_byte", "perplexity")} for name in answers
    }
    if all(is_seven_seven(record["completion"].strip()) for record in test):
        for name, texts in answers.items():
            hits = sum(is_seven_seven(text.strip()) for text in texts)
            low, high = wilson_interval(hits, len(texts))
            report[name] |= {"seven_seven": hits / len(texts), "seven_seven_low": low, "seven_seven_high": high}
            share = f"{hits / len(texts):.1%} (95 %: {low:.0%} to {high:.0%})"
            print(f"  {name:7} {hits:4} of {len(texts)} answers are exactly 7-7: {share}")
    return report


def show_examples(test: list[dict[str, str]], answers: dict[str, list[str]]) -> None:
    for index in (0, len(test) // 2, len(test) - 1):
        print(f"\n{indented(shortened(test[index]['prompt'], 300))}")
        for name, texts in answers.items():
            print(f"    {name:7}| {first_line(texts[index])}")


def first_line(text: str) -> str:
    """What was said before the first line break, and a mark that there was more."""
    line, _, rest = text.strip().partition("\n")
    return f"{line} …" if rest else line


def shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"…{text[-length:]}"


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines())


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
