"""Lines of music by customized models, in plain boto3 calls that run against Amazon Bedrock too, as far as it goes.

    outcrop run -- python examples/gen_parker/gen_parker.py --scores lead-sheets/

Scores become ABC. Models read tunes (continued pre-training), fill in bars (fine-tuning), do both, or begin at random
with a tokenizer of their own. All are asked the same questions about tunes that none has seen. The environment says
where to go (AWS_ENDPOINT_URL, keys, region) and which role the jobs run under (OUTCROP_ROLE_ARN).
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from findings import Findings, GapAnswer, as_json, report
from gap_bakeoff import AT_ONCE, judge
from line_measures import bits, known, real_continuation, score_gaps, score_lines
from sheets import write_sheets
from tune_files import Amounts, Gap, TuneFiles, gaps_in, write_files

from outcrop.evaluation.bakeoff.customizing import training_need
from outcrop.evaluation.bakeoff.page import bakeoff_page
from outcrop.evaluation.bakeoff.table import bakeoff_text

SCORES = (".mxl", ".musicxml", ".xml", ".abc")
PATIENT = Config(retries={"mode": "standard", "max_attempts": 20}, read_timeout=300)
ON_AWS = "AWS_ENDPOINT_URL" not in os.environ
TUNES, GAPS = "tunes", "gaps"
GAP_TOKENS, LINE_TOKENS = 48, 160
PICTURES = 3


@dataclass(frozen=True, kw_only=True)
class Training:
    """A job of the example: what it starts from, what it reads, and how."""

    base: str
    "Another model of the example, or `base`."
    reads: str
    hyper: Mapping[str, str]

    @property
    def type(self) -> str:
        return "CONTINUED_PRE_TRAINING" if self.reads == TUNES else "FINE_TUNING"


def trainings(options: argparse.Namespace) -> dict[str, Training]:
    """The models of the example, each after the one it starts from."""
    plain = {"outcrop.promptFormat": "text"}
    small = {
        "outcrop.initialize": "random",
        "outcrop.layers": options.layers,
        "outcrop.width": options.width,
        "outcrop.tokenizerSize": options.tokenizer_size,
        "epochCount": options.zero_epochs,
    }
    reads, fills = {"epochCount": options.epochs}, {"epochCount": options.gap_epochs, **plain}
    return {
        "cpt": Training(base="base", reads=TUNES, hyper=reads),
        "ft": Training(base="base", reads=GAPS, hyper=fills),
        "cpt-ft": Training(base="cpt", reads=GAPS, hyper=fills),
        "zero": Training(base="base", reads=TUNES, hyper=small),
        "zero-ft": Training(base="zero", reads=GAPS, hyper=fills),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    started = time.time()
    options = parse_options(arguments)
    s3, bedrock, runtime = (boto3.client(name, config=PATIENT) for name in ("s3", "bedrock", "bedrock-runtime"))
    run = f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}"

    heading("1  Scores into records")
    files = write_files(score_files(options.scores), options.out / "data", amounts_of(options))
    told = ", ".join(f"{number} {division}" for division, number in files.tunes.items())
    print(f"  tunes: {told}; {len(files.gaps)} gaps and {len(files.openings)} openings are asked")
    bucket = upload(s3, run, files)

    heading("2  Customization jobs")
    models, findings = {"base": options.base}, Findings()
    for name, training in wanted(options).items():
        models[name] = customize(s3, bedrock, run, bucket, name, training, models, files, findings)

    heading("3  Deployments, and the same questions to all")
    asked = {
        name: model if name == "base" else deploy(bedrock, f"{run}-{name}", model) for name, model in models.items()
    }
    ask_all(runtime, asked, options, files, findings)

    heading("4  Numbers")
    seconds = round(time.time() - started, 1)
    table = report(findings)
    parents = {name: training.base for name, training in trainings(options).items()}
    judged = judge(files.gaps, findings, parents, base=options.base, seed=options.seed)
    print(f"{table}\n\n{bakeoff_text(judged)}")
    (options.out / "report.md").write_text(table + "\n", "utf-8")
    (options.out / "report.json").write_text(json.dumps(as_json(findings, options, files, seconds), indent=2) + "\n")
    (options.out / "bakeoff.html").write_text(bakeoff_page(judged), "utf-8")

    heading("5  Sheet music and sound")
    print(f"  {write_pictures(options, files, findings)}")
    print(f"\nDone in {seconds:.0f} s.")


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Customize models on scores, and compare what they play.")
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="MusicXML, MXL or ABC: files or folders")
    parser.add_argument("--out", type=Path, default=Path("gen_parker"), help="folder for records, numbers and pictures")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model id")
    parser.add_argument("--name", default="parker", help="beginning of every name this run uses")
    parser.add_argument("--models", default="cpt,ft,cpt-ft,zero,zero-ft", help="which models to train")
    parser.add_argument("--tunes", type=int, default=160, help="a tenth of them for validation, a tenth for test")
    parser.add_argument("--gaps", type=int, default=600, help="gaps to learn from")
    parser.add_argument("--questions", type=int, default=40, help="gaps that all models are asked")
    parser.add_argument("--lines", type=int, default=8, help="tunes that all models play on")
    parser.add_argument("--epochs", default="2", help="of continued pre-training")
    parser.add_argument("--gap-epochs", default="4", help="of fine-tuning")
    parser.add_argument("--zero-epochs", default="10", help="of continued pre-training from random weights")
    parser.add_argument("--layers", default="4")
    parser.add_argument("--width", default="128")
    parser.add_argument("--tokenizer-size", default="512")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=Path, help="a score whose bars are filled in for the pictures")
    return parser.parse_args(arguments)


def amounts_of(options: argparse.Namespace) -> Amounts:
    return Amounts(tunes=options.tunes, gaps=options.gaps, questions=options.questions, seed=options.seed)


def wanted(options: argparse.Namespace) -> dict[str, Training]:
    names, known_names = options.models.split(","), trainings(options)
    unknown = [name for name in names if name not in known_names]
    if unknown:
        sys.exit(f"--models: {unknown[0]} is none of {', '.join(known_names)}.")
    chosen = {name: training for name, training in known_names.items() if name in names}
    if ON_AWS:
        left = [name for name in chosen if name.startswith("zero")]
        print(f"  left out, since Amazon Bedrock has no models from zero: {', '.join(left)}" if left else "", end="\n")
        chosen = {name: training for name, training in chosen.items() if name not in left}
    missing = [f"{name} needs {t.base}" for name, t in chosen.items() if t.base not in ("base", *chosen)]
    if missing:
        sys.exit(f"--models: {missing[0]}.")
    return chosen


def score_files(given: Sequence[Path]) -> list[Path]:
    found = [
        path
        for each in given
        for path in (sorted(each.rglob("*")) if each.is_dir() else [each])
        if path.suffix.lower() in SCORES and path.is_file()
    ]
    return found or sys.exit(f"--scores: no file that ends in {', '.join(SCORES)}.")


def upload(s3: Any, run: str, files: TuneFiles) -> str:
    bucket = f"gen-{run}"
    s3.create_bucket(Bucket=bucket)
    for path in sorted(files.folder.glob("*.jsonl")):
        s3.upload_file(str(path), bucket, path.name)
        print(f"  {path.name:26} {path.stat().st_size:>9,} bytes -> s3://{bucket}/{path.name}")
    return bucket


def customize(
    s3: Any,
    bedrock: Any,
    run: str,
    bucket: str,
    name: str,
    training: Training,
    models: Mapping[str, str],
    files: TuneFiles,
    findings: Findings,
) -> str:
    """Train one model; returns its ARN. What the job measured of the model and of its start is kept."""
    tests = ["test-gaps"] if training.reads == GAPS else ["test-with-chords", "test-without-chords"]
    held_out = [f"{training.reads}-validation"] + ([] if ON_AWS else tests)
    hyper = {key: value for key, value in training.hyper.items() if not (ON_AWS and key.startswith("outcrop."))}
    job = bedrock.create_model_customization_job(
        jobName=f"{run}-{name}",
        customModelName=f"{run}-{name}",
        roleArn=os.environ["OUTCROP_ROLE_ARN"],
        baseModelIdentifier=models[training.base],
        customizationType=training.type,
        trainingDataConfig={"s3Uri": f"s3://{bucket}/{training.reads}-train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": f"s3://{bucket}/{file}.jsonl"} for file in held_out]},
        outputDataConfig={"s3Uri": f"s3://{bucket}/output/"},
        hyperParameters=hyper if ON_AWS else {"outcrop.evaluationsPerEpoch": "1", **hyper},
    )["jobArn"]
    began = time.time()
    ended = wait_while(
        ("InProgress", "Stopping"), lambda: bedrock.get_model_customization_job(jobIdentifier=job), every_s=1.0
    )
    if ended["status"] != "Completed":
        sys.exit(f"The job of {name} ended as {ended['status']}: {ended.get('failureMessage', 'no message')}")
    loss = ended["validationMetrics"][0]["validationLoss"]
    findings.needs[name] = training_need(s3, ended)
    print(f"  {name:8} {training.type:22} {time.time() - began:5.0f} s, validation loss {loss:.3f}", flush=True)
    if not ON_AWS:
        key = f"output/model-customization-job-{job.rsplit('/', 1)[-1]}/validation_artifacts/held_out.json"
        results = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        note_bits(findings, name, training, results, files)
    return str(ended["outputModelArn"])


def note_bits(findings: Findings, name: str, training: Training, results: Any, files: TuneFiles) -> None:
    """Bits per note of the model, and of what it started from where that had weights worth scoring."""
    begins_at_random = "outcrop.initialize" in training.hyper
    for result in results:
        test = result["file"].removesuffix(".jsonl")
        if test not in files.notes:
            continue
        findings.bits.setdefault(name, {})[test] = bits(result["custom"], files.notes[test])
        if not begins_at_random:
            findings.bits.setdefault(training.base, {})[test] = bits(result["base"], files.notes[test])


def deploy(bedrock: Any, name: str, model: str) -> str:
    answer = bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
    arn = str(answer["customModelDeploymentArn"])
    ended = wait_while(
        ("Creating",), lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn), every_s=0.3
    )
    if ended["status"] != "Active":
        sys.exit(f"The deployment {name} failed: {ended.get('failureMessage')}")
    print(f"  {name} is Active", flush=True)
    return arn


def wait_while(states: Sequence[str], look: Callable[[], Any], *, every_s: float) -> Any:
    while (seen := look())["status"] in states:
        time.sleep(every_s)
    return seen


def ask_all(
    runtime: Any, models: Mapping[str, str], options: argparse.Namespace, files: TuneFiles, findings: Findings
) -> None:
    """Gaps go to every model, openings to those that were not taught to answer with one bar."""
    training = known(files.train_bars)
    openings, shown = files.openings[: options.lines], shown_gaps(options, files)
    for name, model in models.items():
        findings.gap_answers[name] = ask(runtime, options.base, model, [gap.prompt for gap in files.gaps], GAP_TOKENS)
        answers = texts_of(findings.gap_answers[name])
        findings.answers[name] = answers
        findings.gaps[name] = score_gaps(files.gaps, answers, training)
        in_pictures = ask(runtime, options.base, model, [gap.prompt for gap in shown], GAP_TOKENS)
        findings.shown[name] = texts_of(in_pictures)
        if not name.endswith("ft"):
            played = ask(runtime, options.base, model, [opening.prompt for opening in openings], LINE_TOKENS)
            findings.lines[name] = score_lines(openings, texts_of(played), training)
    real = [gap.real for gap in files.gaps]
    findings.answers["real"], findings.shown["real"] = real, [gap.real for gap in shown]
    findings.gaps["real"] = score_gaps(files.gaps, real, training)
    findings.lines["real"] = score_lines(openings, list(map(real_continuation, openings)), training)


def shown_gaps(options: argparse.Namespace, files: TuneFiles) -> Sequence[Gap]:
    """The gaps of the pictures: of a score that is named, else the first of those asked."""
    return gaps_in(options.show, PICTURES) if options.show else files.gaps[:PICTURES]


def ask(runtime: Any, base: str, model: str, prompts: Sequence[str], max_tokens: int) -> list[GapAnswer]:
    def one(prompt: str) -> GapAnswer:
        began = time.monotonic()
        said = runtime.invoke_model(modelId=model, body=json.dumps(body_of(base, prompt, max_tokens)))
        counts = said["ResponseMetadata"]["HTTPHeaders"]
        return GapAnswer(
            text=text_of(json.loads(said["body"].read())),
            input_tokens=int(counts.get("x-amzn-bedrock-input-token-count", 0)),
            output_tokens=int(counts.get("x-amzn-bedrock-output-token-count", 0)),
            seconds=time.monotonic() - began,
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, prompts))


def texts_of(answers: Sequence[GapAnswer]) -> list[str]:
    return [answer.text for answer in answers]


def body_of(base: str, prompt: str, max_tokens: int) -> dict[str, Any]:
    """The body of the provider: Titan's for Titan, else that of Llama, which open models understand."""
    if base.startswith("amazon.titan"):
        config = {"maxTokenCount": max_tokens, "temperature": 0}
        return {"inputText": prompt, "textGenerationConfig": config}
    return {"prompt": prompt, "max_gen_len": max_tokens, "temperature": 0}


def text_of(answer: Any) -> str:
    return str(answer["results"][0]["outputText"] if "results" in answer else answer["generation"])


def write_pictures(options: argparse.Namespace, files: TuneFiles, findings: Findings) -> str:
    troubles = []
    for index, gap in enumerate(shown_gaps(options, files)):
        answers = {name: said[index] for name, said in findings.shown.items()}
        troubles += write_sheets(gap, answers, options.out / "sheets", f"gap-{index + 1}")
    told = f" Not engraved: {'; '.join(troubles)}" if troubles else ""
    return f"SVG and MIDI are in {options.out / 'sheets'}.{told}"


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
