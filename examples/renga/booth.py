"""The poem machine of a booth: a visitor's upper verse, and the lower verses of several models side by side.

    outcrop run --sagemaker -- python -m examples.renga.booth               # from the root of a clone

Verses go into a bucket; a training job with a script of one's own makes an adapter by LoRA, one of JumpStart's makes
another by OFT; an endpoint serves both beside their base, and scales; what a visitor likes best is learned by the next
job, whose adapter takes the place of the first. boto3 calls only: README.md tells how the same program runs on AWS.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3

from . import endpoint, feedback, jobs
from .answers import Answerer, ask_all, by_bedrock, conversing, learned, table, upper_of
from .mora import is_seven_seven, wilson_interval
from .services import AT_ONCE, Booth, clients
from .visitors import asking

HERE = Path(__file__).parent
BASE, LORA, OFT, LARGER, REMOTE = "base", "lora", "oft", "larger", "remote"
TRAINING_IMAGE = "outcrop-training:1.0-py3"
SERVING_IMAGE = "763104351884.dkr.ecr.{region}.amazonaws.com/djl-inference:0.36.0-lmi20.0.0-cu128-v1.0"


def main() -> None:
    started = time.time()
    options = parse_options()
    booth = booth_of(options)
    report: dict[str, Any] = {}

    heading("1  Verses into a bucket")
    weights, jumpstart = base_model(booth, options)
    test = upload(booth, options)

    heading("2  Training: LoRA by a script of one's own" + (", OFT by JumpStart's" if jumpstart else ""))
    artifacts = train(booth, weights, jumpstart, options)
    report["loss"] = measure_losses(booth, weights, artifacts)

    with endpoint.opened(booth, keep=options.keep):
        heading("3  An endpoint, a component for each model")
        serve(booth, artifacts, options)
        answerers = {model: answerer_of(booth, model, options) for model in models_of(options)}
        report["seven_seven"] = measure_form(answerers, test[: options.questions])

        heading("4  As many copies as visitors need")
        report["scaling"] = endpoint.scale(booth, BASE)
        show_scaling(report["scaling"])

        heading("5  A visitor's upper verse")
        report["answers"] = list(receive(booth, answerers, options, test))

        heading("6  What visitors chose goes into the next training")
        report["update"] = learn_from_feedback(booth, weights, answerers, test, options)

    report["seconds"] = round(time.time() - started, 1)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(f"\nDone in {report['seconds']:.0f} s. Verses, adapters and feedback are in s3://{booth.bucket}/")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Lower verses to an upper one, by models of one's own, side by side.")
    parser.add_argument("--upper", action="append", default=[], help="an upper verse of 5-7-5, ku parted by spaces")
    parser.add_argument("--choose", help=f"the model whose answers the visitor likes best, such as {LORA}")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model, as HF_MODEL_ID names it")
    parser.add_argument("--weights", help="its weights: a prefix or tar.gz in S3, or a folder here. Else JumpStart's")
    parser.add_argument("--jumpstart", default="outcrop-textgeneration-starter-v1", help="the base's id in JumpStart")
    parser.add_argument("--without-oft", action="store_true", help="only LoRA; JumpStart on AWS has no OFT")
    parser.add_argument("--larger", metavar="MODEL", help="also serve a larger model, by its name as HF_MODEL_ID")
    parser.add_argument("--remote", metavar="MODEL", help="also ask a model of Bedrock; verses go to wherever it is")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.003, help="of LoRA; suits the small starter model")
    parser.add_argument("--records", type=int, help="only so many of each file")
    parser.add_argument("--questions", type=int, default=200, help="test records that all models are asked")
    parser.add_argument("--role", default=os.environ.get("OUTCROP_ROLE_ARN"), help="ARN of the jobs' role")
    parser.add_argument("--instance", default="ml.m5.xlarge")
    parser.add_argument("--accelerators", type=int, default=0, help="GPUs for each copy of a model, on AWS")
    parser.add_argument("--training-image", default=TRAINING_IMAGE)
    parser.add_argument("--serving-image", help="of LMI; the default is the one of 2026")
    parser.add_argument("--visitors", type=int, default=4, help="who ask without a pause while an adapter is replaced")
    parser.add_argument("--name", default="renga", help="beginning of every name this run uses")
    parser.add_argument("--report", type=Path, help="also write numbers and answers here, as JSON")
    parser.add_argument("--keep", action="store_true", help="leave the endpoint in service")
    options = parser.parse_args()
    if not options.role:
        parser.error("--role: whose rights do the jobs have? Give the ARN of a role, or set OUTCROP_ROLE_ARN.")
    if options.choose and options.choose not in models_of(options):
        parser.error(f"--choose: {options.choose} is not served. Name one of {', '.join(models_of(options))}.")
    return options


def models_of(options: argparse.Namespace) -> list[str]:
    """The models that answer, in the order of the table."""
    asked_for = {OFT: not options.without_oft, LARGER: options.larger, REMOTE: options.remote}
    return [BASE, LORA, *(model for model, wanted in asked_for.items() if wanted)]


def booth_of(options: argparse.Namespace) -> Booth:
    services = clients()
    run = f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    region = services["s3"].meta.region_name
    return Booth(
        run=run,
        bucket=f"{run}-booth",
        role=options.role,
        instance=options.instance,
        accelerators=options.accelerators,
        base=options.base,
        training_image=options.training_image,
        serving_image=options.serving_image or SERVING_IMAGE.format(region=region),
        **services,
    )


def base_model(booth: Booth, options: argparse.Namespace) -> tuple[str, jobs.JumpStartModel | None]:
    """Where the base's weights are in S3, and its entry in JumpStart, where that is needed."""
    place = {} if booth.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": booth.region}}
    booth.s3.create_bucket(Bucket=booth.bucket, **place)
    jumpstart = None
    if not (options.weights and options.without_oft):
        jumpstart = jobs.jumpstart_model(booth.s3, options.jumpstart)
    weights = options.weights or (jumpstart.weights if jumpstart else "")
    if not weights.startswith("s3://"):
        weights = upload_folder(booth, Path(weights), "base/")
    print(f"  {options.base}: {weights}")
    return weights, None if options.without_oft else jumpstart


def upload_folder(booth: Booth, folder: Path, prefix: str) -> str:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            booth.s3.upload_file(str(path), booth.bucket, f"{prefix}{path.relative_to(folder).as_posix()}")
    return booth.uri(prefix)


def upload(booth: Booth, options: argparse.Namespace) -> list[dict[str, str]]:
    """Put the three files into the bucket, each into a folder of its own; returns the records of the test."""
    records: list[dict[str, str]] = []
    for name in ("train", "validation", "test"):
        lines = (HERE / f"{name}.jsonl").read_text("utf-8").splitlines()[: options.records]
        records = [json.loads(line) for line in lines]
        booth.s3.put_object(Bucket=booth.bucket, Key=f"verses/{name}/{name}.jsonl", Body="\n".join(lines).encode())
        print(f"  {len(lines):5} -> {booth.uri(f'verses/{name}/{name}.jsonl')}")
    return records


def train(
    booth: Booth, weights: str, jumpstart: jobs.JumpStartModel | None, options: argparse.Namespace
) -> dict[str, str]:
    """The artifact of each model. Both jobs are handed in at once; one machine may do one after the other."""
    started = {LORA: start_lora(booth, f"{booth.run}-{LORA}", weights, options)}
    if jumpstart is not None:
        started[OFT] = jobs.start_jumpstart(
            booth,
            f"{booth.run}-{OFT}",
            jumpstart,
            {"model": weights, "training": verses(booth, "train"), "validation": verses(booth, "validation")},
            {
                "peft_type": "oft",
                "instruction_tuned": "True",
                "add_input_output_demarcation_key": "False",  # the records' own words are asked later
                "epoch": str(options.epochs),
                "per_device_train_batch_size": str(options.batch_size),
            },
        )
    return {model: jobs.model_of(jobs.finished(booth, name)) for model, name in started.items()}


def start_lora(booth: Booth, name: str, weights: str, options: argparse.Namespace, **more: str) -> str:
    """Start the job with the script of one's own; `more` are channels beside the usual ones."""
    return jobs.start_script(
        booth,
        name,
        "train.py",
        {"model": weights, "train": verses(booth, "train"), "validation": verses(booth, "validation"), **more},
        {
            "base-name": booth.base,
            "epochs": options.epochs,
            "batch-size": options.batch_size,
            "learning-rate": options.learning_rate,
        },
        metrics=jobs.LOSSES,
    )


def verses(booth: Booth, name: str) -> str:
    return booth.uri(f"verses/{name}/")


def measure_losses(booth: Booth, weights: str, artifacts: Mapping[str, str]) -> dict[str, float]:
    """The loss of every model on the test verses, in nats a token, by one job and the same code for all."""
    name = f"{booth.run}-loss"
    models = (BASE, *artifacts)
    metrics = [{"Name": f"renga:{model}", "Regex": rf"loss_{model}=([0-9.e+-]+)"} for model in models]
    channels = {"model": weights, "test": verses(booth, "test"), **artifacts}
    jobs.start_script(booth, name, "measure.py", channels, {}, metrics=metrics)
    return jobs.metrics_of(jobs.finished(booth, name))


def serve(booth: Booth, artifacts: Mapping[str, str], options: argparse.Namespace) -> None:
    """Bring the models onto the endpoint; one that is asked through Bedrock is there already."""
    endpoint.add_named(booth, BASE, booth.base, takes_adapters=True)
    endpoint.add_adapter(booth, LORA, artifacts[LORA], on=BASE)
    if OFT in artifacts:
        endpoint.add_network(booth, OFT, artifacts[OFT])
    if options.larger:
        endpoint.add_named(booth, LARGER, options.larger)


def answerer_of(booth: Booth, model: str, options: argparse.Namespace) -> Answerer:
    if model == REMOTE:
        return by_bedrock(booth, options.remote)
    return conversing(booth, model) if model == LARGER else learned(booth, model)


def measure_form(answerers: Mapping[str, Answerer], test: Sequence[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """How many lower verses of each model have exactly 7 and 7 morae; a remote model is spared so many questions."""
    uppers = [upper_of(record["prompt"]) for record in test]
    found = {}
    for model, answerer in answerers.items():
        if model == REMOTE or not uppers:
            continue
        hits = sum(is_seven_seven(lower) for lower in ask_all(answerer, uppers))
        low, high = wilson_interval(hits, len(uppers))
        found[model] = {"hits": hits, "of": len(uppers), "low": low, "high": high}
        share = f"{hits / len(uppers):.1%} (95 %: {low:.0%} to {high:.0%})"
        print(f"  {model:7} {hits:4} of {len(uppers)} lower verses are 7-7: {share}", flush=True)
    return found


def show_scaling(scaling: Mapping[str, Any]) -> None:
    for alarm in scaling["alarms"]:
        print(f"  alarm {alarm}")
    print(f"  {scaling['activity']['Description']} {scaling['activity']['StatusCode']}")


def receive(
    booth: Booth, answerers: Mapping[str, Answerer], options: argparse.Namespace, test: Sequence[Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    """Answer every visitor, and keep what they chose."""
    for upper in visitors_verses(options, test):
        lowers = dict(zip(answerers, ask_every(answerers, upper), strict=True))
        print(f"\n{table(upper, lowers)}", flush=True)
        chosen = options.choose or chosen_by_hand(lowers)
        if chosen:
            print(f"  The choice: {feedback.keep(booth, upper, lowers, chosen)}")
        yield {"upper": upper, "lowers": lowers, "chosen": chosen}


def ask_every(answerers: Mapping[str, Answerer], upper: str) -> list[str]:
    return [ask_all(answerer, [upper])[0] for answerer in answerers.values()]


def visitors_verses(options: argparse.Namespace, test: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """The verses of the command; else what is typed, where somebody can; else the first three of the test."""
    if options.upper or not sys.stdin.isatty():
        yield from options.upper or [upper_of(record["prompt"]) for record in test[:3]]
        return
    while upper := input("\nAn upper verse in kana, 5-7-5, ku parted by spaces; Enter to go on: ").strip():
        yield upper


def chosen_by_hand(lowers: Mapping[str, str]) -> str:
    """The model that a visitor names; empty for none, and where there is nobody."""
    if not sys.stdin.isatty():
        return ""
    while (named := input(f"  Which is the best? {', '.join(lowers)}, or Enter: ").strip()) not in (*lowers, ""):
        pass
    return named


def learn_from_feedback(
    booth: Booth,
    weights: str,
    answerers: Mapping[str, Answerer],
    test: Sequence[Mapping[str, str]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """A second job with the choices among its records, whose adapter replaces the first while visitors ask."""
    num_choices = booth.s3.list_objects_v2(Bucket=booth.bucket, Prefix=feedback.PREFIX)["KeyCount"]
    if not num_choices:
        print("  Nobody chose: --choose MODEL, or a word on the terminal, brings the next training.")
        return {}
    name = start_lora(booth, f"{booth.run}-{LORA}-2", weights, options, feedback=booth.uri(feedback.PREFIX))
    artifact = jobs.model_of(jobs.finished(booth, name))
    upper = upper_of(test[0]["prompt"])
    before = answerers[LORA](upper)
    runtime = boto3.client("sagemaker-runtime", config=AT_ONCE)
    with asking(learned(booth, LORA, runtime=runtime), upper, visitors=options.visitors) as asked:
        endpoint.replace_adapter(booth, LORA, artifact, on=BASE)
    print(f"  {len(asked.answers)} requests were answered meanwhile, {len(asked.failures)} failed")
    print(table(upper, {"before": before, "after": answerers[LORA](upper)}))
    return {"choices": num_choices, "answered": len(asked.answers), "failures": asked.failures, "adapter": artifact}


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
