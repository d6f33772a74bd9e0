"""The commands themselves, each a few lines over the rooms that do the work."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from outcrop import private
from outcrop import settings as settings_of
from outcrop.catalog.base_model import BaseModel
from outcrop.cli import access, export, tables
from outcrop.cli.batch_jobs import find_batch_job, print_batch_job
from outcrop.cli.checkpoints import find_job, print_checkpoints
from outcrop.cli.console_link import new_link, with_console_port
from outcrop.cli.evaluation_jobs import find_evaluation_job, print_evaluation_job
from outcrop.cli.job import print_job
from outcrop.cli.listening import PortTaken, answers, check_port, free_port
from outcrop.cli.options import AsJson, ForSageMaker, Home, Host, Port, Region, as_running, check_begun, running
from outcrop.cli.program import check_program, start
from outcrop.cli.supervisor import Supervisor
from outcrop.cli.tls import with_tls
from outcrop.clock import SystemClock
from outcrop.errors import MachineTrouble
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import RunMode
from outcrop.settings import PARTS_FILE, Settings, make_home

if TYPE_CHECKING:
    from outcrop.access.installation import Installation
    from outcrop.cli.remote import RemoteOptions

_GRACE_S = 10.0
_LOOK_S = 0.05
Watch = Callable[[Callable[[], bool]], None]
"Waits until what it is given holds, and keeps alive meanwhile what it must."

app = App(
    name="outcrop",
    help="Amazon Bedrock model customization on your own machine: bring data, fine-tune, deploy, invoke.",
    version_flags=["--version"],
)
app.command(access.app)
app.command("outcrop.cli.quotas:app", name="quotas", help="Limit requests and tokens a minute; model units.")
app.command("outcrop.cli.keys:app", name="keys", help="Change the root key, which everything secret is sealed with.")
app.command("outcrop.cli.audit:app", name="audit", help="Search and verify the record of who did what.")
app.command("outcrop.cli.engines:app", name="engines", help="List, add and remove engines of other kinds.")
app.command("outcrop.cli.recipes:app", name="data", help="Make training records of what there is: a command a recipe.")
app.command(
    "outcrop.cli.bakeoff:bakeoff",
    name="bakeoff",
    help="Measure every combination of prompts, retrieval, customization and models in PLAN on the same questions.\n\n"
    "Jobs that several combinations share run once. What was done before is found again, so that a run which was "
    "stopped goes on. The exit code is 1 where a combination failed.",
)
app.command(
    "outcrop.cli.advise:advise",
    name="advise",
    help="Ask what the task needs, and write PLAN, a bake-off of the approaches that come into question.\n\n"
    "It says why it takes each. In a terminal, what is not given as an option is asked.",
)
app.command(
    "outcrop.cli.knowledge:app", name="knowledge", help="Make documents into knowledge bases; see what is in them."
)


@app.command
def up(
    *,
    home: Home = None,
    host: Host = None,
    port: Port = None,
    console: Annotated[
        bool, Parameter(name="--console", negative="--no-console", help="Whether the console is started too.")
    ] = True,
    console_port: Annotated[
        int | None, Parameter(name="--console-port", help="Port of the console (default 4581).")
    ] = None,
    tls: Annotated[
        bool, Parameter(name="--tls", negative="", help="Speak TLS, with a certificate that is made and renewed here.")
    ] = False,
    tls_cert: Annotated[
        Path | None, Parameter(name="--tls-cert", help="Speak TLS, with this certificate and its chain (PEM).")
    ] = None,
    tls_key: Annotated[
        Path | None, Parameter(name="--tls-key", help="The key of that certificate (PEM, PKCS #8).")
    ] = None,
    tls_ca: Annotated[
        Path | None, Parameter(name="--tls-ca", help="The authority of that certificate, where clients do not know it.")
    ] = None,
    seal: Annotated[
        bool, Parameter(name="--seal", negative="", help="Seal objects and models for which nobody names another key.")
    ] = False,
    cluster: Annotated[
        str | None, Parameter(name="--cluster", help="Run trainings on a Ray cluster: auto, or its head's address.")
    ] = None,
) -> int:
    """Start everything on this machine, and keep it running until Ctrl-C."""
    settings = with_tls(
        settings_of.read(home=home, host=host, port=port), own=tls, cert=tls_cert, key=tls_key, ca=tls_ca
    )
    if seal:
        settings = replace(settings, seal=True)
    if cluster is not None:
        settings = replace(settings, cluster=settings_of.checked_cluster("--cluster", cluster))
    with_console = console and settings.console
    if with_console:
        settings = with_console_port(settings, console_port)
    stop = _Stop()
    with Supervisor(settings, console=with_console) as supervisor:
        supervisor.wait_ready(until=stop.asked)
        if not stop.asked():
            print(export.welcome(settings, supervisor.installation, console=with_console), flush=True)
        supervisor.watch(until=stop.asked)
        print("\nStopping.", flush=True)
    return 0


@app.command
def run(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    home: Home = None,
    port: Port = None,
    sagemaker: ForSageMaker = False,
) -> int:
    """Run COMMAND with the environment it needs: `outcrop run -- python demo.py`.

    It asks the `outcrop up` of this home. Where none runs, everything is started, on a free port when the usual one is
    in use, and stopped afterwards. Ends with the command's exit code.
    """
    check_program(command)
    settings = settings_of.read(home=home, port=port)
    if (found := _as_answering(settings)) is not None:
        if port not in (None, found.port):
            raise MachineTrouble(
                f"{settings.home}: `outcrop up` runs on this home, at {found.endpoint}. Leave --port out to ask it."
            )
        stop = _Stop()
        environment = _environment(found, export.installation(found), for_sagemaker=sagemaker)
        return _run(command, environment, stop, watch=_wait)
    settings = with_tls(_with_free_port(settings))
    stop = _Stop()
    with Supervisor(settings) as supervisor:
        supervisor.wait_ready(until=stop.asked)
        if stop.asked():
            return stop.code
        environment = _environment(settings, supervisor.installation, for_sagemaker=sagemaker)
        return _run(command, environment, stop, watch=lambda until: supervisor.watch(until=until))


@app.command
def env(*, home: Home = None, as_json: AsJson = False, sagemaker: ForSageMaker = False) -> int:
    """Print what to export so that boto3 and the AWS CLI talk to this installation."""
    settings = settings_of.read(home=home)
    check_begun(settings)
    settings = as_running(settings)
    if not answers(settings):
        told = f"nothing answers at {settings.endpoint} now. `outcrop up` starts it."
        print(f"outcrop: {settings.home}: {told}", file=sys.stderr)
    values = export.environment(settings, export.installation(settings), for_sagemaker=sagemaker)
    print(json.dumps(values, indent=2) if as_json else export.shell_lines(values))
    return 0


@app.command
def console(*, home: Home = None) -> int:
    """Print a link that opens the running console as the administrator, once."""
    print(new_link(settings_of.read(home=home)))
    return 0


@app.command
def models(
    *,
    home: Home = None,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """List the foundation models of the catalogue on this machine; `--all` also those that wait for pull or alias."""
    return tables.print_models(settings_of.read(home=home), everything=everything, as_json=as_json)


@app.command
def jobs(job: str | None = None, *, region: Region = None, home: Home = None, as_json: AsJson = False) -> int:
    """List jobs of customization, batch inference and evaluation, newest first, or show the details of JOB.

    The exit code is 1 for a JOB that failed, or whose model is no better than its base.
    """
    bedrocks = export.clients(running(home), "bedrock", region)
    if job is None:
        return tables.print_jobs(bedrocks, as_json=as_json)
    batch_job = find_batch_job(bedrocks, job)
    if batch_job is not None:
        return print_batch_job(batch_job, as_json=as_json)
    evaluation_job = find_evaluation_job(bedrocks, job)
    if evaluation_job is not None:
        return print_evaluation_job(evaluation_job, as_json=as_json)
    return print_job(find_job(bedrocks, job)[0], as_json=as_json)


@app.command
def checkpoints(job: str, *, region: Region = None, home: Home = None, as_json: AsJson = False) -> int:
    """List the model checkpoints of JOB, each of which CreateCustomModel makes a custom model of."""
    settings = running(home)
    described, region = find_job(export.clients(settings, "bedrock", region), job)
    return print_checkpoints(export.client(settings, "s3", region), described, as_json=as_json)


@app.command
def deployments(
    deployment: str | None = None, *, region: Region = None, home: Home = None, as_json: AsJson = False
) -> int:
    """List deployments and provisioned throughput, or show DEPLOYMENT and how far its engine is from the trainer.

    The exit code is 1 for a DEPLOYMENT whose engine computes something else.
    """
    if deployment is not None:
        from outcrop.cli.deployment_details import print_deployment

        return print_deployment(settings_of.read(home=home), deployment, as_json=as_json)
    return tables.print_deployments(export.clients(running(home), "bedrock", region), as_json=as_json)


@app.command
def ask(
    knowledge_base: Annotated[str, Parameter(help="By name or id; `outcrop knowledge` makes and lists them.")],
    question: Annotated[str | None, Parameter(help="Without it, one after the other: typed, or piped.")] = None,
    *,
    model: Annotated[str | None, Parameter(help="Who answers: a model id, an ARN, or a deployment's name.")] = None,
    session: Annotated[str | None, Parameter(help="The id of a talk that goes on.")] = None,
    results: Annotated[int, Parameter(help="Passages that are looked for, 1 to 100.")] = 5,
    full: Annotated[bool, Parameter(negative="", help="Show passages whole.")] = False,
    region: Region = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Ask KNOWLEDGE_BASE; each sentence of the answer has the numbers of the passages that stand beneath.

    Without --model, the answer is sentences of the passages as they stand.
    """
    from outcrop.cli import ask as asking

    options = asking.AskOptions(model=model, session=session, results=results, full=full, as_json=as_json)
    return asking.ask(running(home), knowledge_base, question, options, region=region)


@app.command
def compare(
    *models: Annotated[str, Parameter(help="Ids, names, ARNs; kb:NAME@MODEL is a knowledge base with its model.")],
    data: Annotated[Path, Parameter(help="Questions with references: a file of records, or Bedrock's form.")],
    scores: Annotated[
        str | None, Parameter(help="With commas between them; with semicolons, if one has commas.")
    ] = None,
    encoder: Annotated[str | None, Parameter(help="The embedding model of embedding_similarity.")] = None,
    training: Annotated[Path | None, Parameter(help="The training data of copied_from_training.")] = None,
    max_tokens: Annotated[int, Parameter(help="Of an answer.")] = 256,
    temperature: Annotated[float, Parameter(help="0 gives the likeliest answer.")] = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    seeds: Annotated[int, Parameter(help="Answers to each question, where the temperature is above 0.")] = 1,
    first: Annotated[int | None, Parameter(help="So many questions of the file only.")] = None,
    general: Annotated[Path | None, Parameter(help="Texts for the forgetting check, if not the base's own.")] = None,
    no_general: Annotated[bool, Parameter(negative="", help="Leave the forgetting check out.")] = False,
    unchecked: Annotated[bool, Parameter(negative="", help="Do not look for the questions in training data.")] = False,
    again: Annotated[bool, Parameter(negative="", help="Ask everything anew, and keep nothing.")] = False,
    at_once: Annotated[int, Parameter(help="Requests in flight.")] = 32,
    html: Annotated[Path | None, Parameter(help="Write the report as a page to this file, too.")] = None,
    region: Annotated[str | None, Parameter(name="--region", help="Where the models are, if not us-east-1.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Compare MODELS on the questions of a file: scores with 95 % intervals, and whether a difference is one.

    The first model is the baseline. What was answered is kept: a second run asks nothing.
    """
    from outcrop.cli import compare as comparing

    options = comparing.CompareOptions(
        models=models,
        data=data,
        scores=scores,
        encoder=encoder,
        training=training,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        seeds=seeds,
        first=first,
        general=general,
        no_general=no_general,
        unchecked=unchecked,
        again=again,
        at_once=at_once,
        html=html,
        as_json=as_json,
    )
    return comparing.compare(running(home), options, region=region)


@app.command
def doctor(*, home: Home = None, as_json: AsJson = False) -> int:
    """Show this machine, its memory and who holds it, who waits for what, and what is wrong.

    The exit code is 1 if anything is wrong.
    """
    from outcrop.cli.doctor import print_findings

    return print_findings(settings_of.read(home=home), SystemClock(), as_json=as_json)


@app.command(name="export")
def export_model(
    model: str,
    place: Annotated[str | None, Parameter(help="A new folder, or s3://bucket/prefix.")] = None,
    *,
    form: Annotated[
        Literal["adapter", "merged", "gguf"] | None,
        Parameter(name="--as", help="The form; the numbers by which it differs from what is served are told."),
    ] = None,
    out: Annotated[str | None, Parameter(name="--out", help="The same as PLACE.")] = None,
    precision: Annotated[Literal["F32", "F16", "Q8_0"], Parameter(help="Of the weights in a GGUF file.")] = "F16",
    merged: Annotated[
        bool, Parameter(name="--merged", negative="", help="As --as merged, and nothing is compared.")
    ] = False,
    region: Annotated[
        str | None, Parameter(name="--region", help="Where the model is, if its name does not tell.")
    ] = None,
    home: Home = None,
) -> int:
    """Write the custom model MODEL, by name or ARN, to PLACE for other programs: adapter, whole network, or GGUF."""
    from outcrop.cli import model_export  # here, as others below: `up` starts without what it does not use
    from outcrop.cli.export_forms import export_options

    where, options = export_options(place, out, form=form, precision=precision, merged=merged)
    print(model_export.export_model(settings_of.read(home=home), model, where, options, region=region))
    return 0


@app.command
def register(
    place: Annotated[Path, Parameter(help="A Hugging Face directory, a GGUF file, or a PEFT adapter directory.")],
    *,
    model_id: Annotated[str | None, Parameter(name="--id", help="Bedrock form: provider.name-v1.")] = None,
    name: str | None = None,
    context: Annotated[int | None, Parameter(help="Context length, for a network that names none.")] = None,
    base: Annotated[str | None, Parameter(help="Of an adapter: its base model, if not the one that it names.")] = None,
    region: Annotated[str | None, Parameter(help="Of an adapter: where the custom model will be.")] = None,
    url: Annotated[str | None, Parameter(help="Of an OpenAI-compatible server: PLACE is the model's id here.")] = None,
    model: Annotated[str | None, Parameter(help="The server's name for the model.")] = None,
    api_key_from: Annotated[
        str | None, Parameter(help="An environment variable, or a file, that holds the key.")
    ] = None,
    aws_region: Annotated[str | None, Parameter(help="Of a model of real Bedrock: PLACE is its id here.")] = None,
    aws_profile: Annotated[str | None, Parameter(help="Of AWS's own configuration, with the credentials.")] = None,
    completions: Annotated[bool, Parameter(negative="", help="Put raw prompts to the URL's /completions.")] = False,
    embeddings: Annotated[bool, Parameter(negative="", help="It makes vectors, at the URL's /embeddings.")] = False,
    provider: Annotated[str | None, Parameter(help="The provider's name in ListFoundationModels.")] = None,
    home: Home = None,
) -> int:
    """Add the model at PLACE to the catalogue, once its network was tried. An adapter becomes a custom model.

    With --url or --aws-region, PLACE is the id of a remote model: its data leaves this machine when it is asked.
    """
    from outcrop.cli.remote import RemoteOptions

    remote = RemoteOptions(
        url=url,
        model=model,
        api_key_from=api_key_from,
        aws_region=aws_region,
        aws_profile=aws_profile,
        completes=completions,
        embeds=embeddings,
        name=name,
        provider=provider,
    )
    if remote.asks_for_one:
        return _register_remote(settings_of.read(home=home), str(place), remote)
    from outcrop.cli.registering import RegisterOptions
    from outcrop.cli.registering import register as register_place

    options = RegisterOptions(model_id=model_id, name=name, context=context, base=base, region=region)
    registered = register_place(settings_of.read(home=home), place, options)
    print(registered.told)
    if registered.entry is not None:
        _tell_way(registered.entry)
    return 0


def _register_remote(settings: Settings, model_id: str, options: "RemoteOptions") -> int:
    from outcrop.cli.remote import described, register_remote

    make_home(settings)
    entry = register_remote(settings, model_id, options)
    has_key = options.api_key_from is not None or options.aws_region is not None
    print(described(entry, has_key=has_key))
    return 0


@app.command
def unregister(model_id: str, *, home: Home = None) -> int:
    """Take the remote model MODEL_ID out of the catalogue, and forget its credentials."""
    from outcrop.cli.remote import unregister_remote

    entry = unregister_remote(settings_of.read(home=home), model_id)
    print(f"{entry.id} is in the catalogue no more, and its credentials are forgotten.")
    return 0


@app.command
def mount(bucket: str, url: str, *, home: Home = None) -> int:
    """Show the objects at URL (s3://, gs://, az://, file://) as BUCKET, with the server's own credentials."""
    from outcrop.cli.mounting import open_buckets

    with open_buckets(settings_of.read(home=home)) as buckets:
        buckets.mount(bucket, url)
    print(f"s3://{bucket} is {url} now.")
    return 0


@app.command
def unmount(bucket: str, *, home: Home = None) -> int:
    """Take a mount away; its objects stay where they are."""
    from outcrop.cli.mounting import open_buckets

    with open_buckets(settings_of.read(home=home)) as buckets:
        buckets.unmount(bucket)
    print(f"s3://{bucket} is mounted no more.")
    return 0


@app.command
def pull(
    model: Annotated[str, Parameter(help="A catalogue id, owner/name or hf://owner/name, or s3://bucket/prefix/.")],
    *,
    model_id: Annotated[str | None, Parameter(name="--id", help="Bedrock form: provider.name-v1.")] = None,
    name: str | None = None,
    context: Annotated[int | None, Parameter(help="Context length, for a network that names none.")] = None,
    home: Home = None,
) -> int:
    """Download MODEL, of the catalogue, a hub or a bucket, and try its network. An adapter becomes a custom model."""
    from outcrop.cli.registering import RegisterOptions
    from outcrop.cli.registering import pull as pull_model

    options = RegisterOptions(model_id=model_id, name=name, context=context)
    pulled = pull_model(settings_of.read(home=home), model, options)
    print(pulled.told)
    if pulled.entry is not None:
        _tell_way(pulled.entry)
    return 0


@app.command
def alias(model_id: str, model: str, *, home: Home = None) -> int:
    """Let MODEL_ID, say amazon.titan-text-lite-v1, be served by MODEL, so that a notebook runs unchanged."""
    from outcrop.catalog.catalog import Catalog
    from outcrop.cli.fetching import check_id, with_verdict

    settings = settings_of.read(home=home)
    make_home(settings)
    with_verdict(Catalog(settings.home), model)
    entry = Catalog(settings.home).alias(check_id(model_id), model)
    print(
        f"{entry.id} is served by {entry.engine}: dialect {entry.dialect}, hyperparameters of {entry.hyperparameters}."
        if entry.task is ModelTask.TEXT
        else f"{entry.id} is served by {entry.engine}: dialect {entry.dialect}."
    )
    if entry.stands_in:
        _tell_way(entry)
    return 0


@app.command(name="check-data")
def check_data(
    file: Path,
    *more: Annotated[Path, Parameter(help="Further files or folders of the same dataset.")],
    base: Annotated[str, Parameter(help="Base model whose tokenizer and context length count.")] = "outcrop.starter-v1",
    validation: Path | None = None,
    customization: Annotated[str, Parameter(name="--type")] = "FINE_TUNING",
    hyper: Annotated[list[str] | None, Parameter(help="NAME=VALUE, as in a job; may be given again.")] = None,
    strict: Annotated[bool, Parameter(negative="", help="Take Bedrock's own forms alone; convert nothing.")] = False,
    as_bedrock: Annotated[
        bool, Parameter(negative="", help="Decide as AWS does for --base, by its published limits and rules.")
    ] = False,
    html: Annotated[Path | None, Parameter(help="Write the report as a page to this file, too.")] = None,
    again: Annotated[bool, Parameter(negative="", help="Also if the same bytes were checked before.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Account for every record and token of a file or folder, as a job would, without starting one."""
    from outcrop.cli.data_check import DataOptions, check_as_bedrock, check_files

    settings = settings_of.read(home=home)
    options = DataOptions(
        files=(file, *more),
        validation=validation,
        base=base,
        customization=customization,
        hyper=hyper or (),
        strict=strict,
        html=html,
        again=again,
    )
    return check_as_bedrock(options, as_json=as_json) if as_bedrock else check_files(settings, options, as_json=as_json)


@app.command
def datasets(
    dataset: Annotated[str | None, Parameter(help="The beginning of a digest: show its report.")] = None,
    *,
    remove: Annotated[bool, Parameter(negative="", help="Take DATASET's report away.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """List the datasets that were checked here, by check-data or a job, or show the report on DATASET.

    The exit code is 1 for a DATASET that a job would refuse.
    """
    from outcrop.cli.datasets import print_dataset, print_datasets

    settings = settings_of.read(home=home)
    if dataset is None:
        return print_datasets(settings, as_json=as_json)
    return print_dataset(settings, dataset, remove=remove, as_json=as_json)


@app.command
def lineage(model: str, *, region: Region = None, home: Home = None, as_json: AsJson = False) -> int:
    """Draw where the custom model MODEL comes from, with data and dates, and what was made from it."""
    from outcrop.cli.lineage import print_lineage

    return print_lineage(running(home), model, region=region, as_json=as_json)


@app.command
def forget(
    model: str,
    *,
    records: Annotated[Path | None, Parameter(help="A file of the records to forget.")] = None,
    line: Annotated[str | None, Parameter(help="Their lines in the training data: 12,40-44.")] = None,
    matching: Annotated[str | None, Parameter(help="A text that they hold, in whatever case.")] = None,
    like: Annotated[str | None, Parameter(help="A model: forget what it has forgotten.")] = None,
    file: Annotated[str | None, Parameter(help="The dataset that --line counts in, if not the training data.")] = None,
    data: Annotated[list[Path] | None, Parameter(help="The data as it was, where it is gone; may be repeated.")] = None,
    controls: Annotated[Path | None, Parameter(help="Records that were never learned, to compare with.")] = None,
    most: Annotated[int, Parameter(help="Records of each group that are measured.")] = 100,
    name: Annotated[str | None, Parameter(help="Of the new model.")] = None,
    report: Annotated[str | None, Parameter(help="Train nothing: measure this model, which has forgotten.")] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Show the plan, and do nothing.")] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    swap: Annotated[bool, Parameter(negative="", help="Hand the model's deployments over to the new one.")] = False,
    region: Region = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Train the custom model MODEL again without some of its records, and show that they are gone.

    Exact: the new model is what the job makes of data that never held them. The exit code is 1 for a job that failed.
    """
    from outcrop.cli.forget import ForgetOptions
    from outcrop.cli.forget import forget as train_without

    asked = ForgetOptions(
        model=model,
        records=records,
        line=line,
        matching=matching,
        like=like,
        file=file,
        data=data or (),
        controls=controls,
        most=most,
        name=name,
        report=report,
        region=region,
        dry_run=dry_run,
        yes=yes,
        swap=swap,
        as_json=as_json,
    )
    return train_without(running(home), asked)


@app.command
def tune(
    *,
    data: Annotated[str | None, Parameter(help="Training data: a JSONL file, or an S3 URI.")] = None,
    validation: Annotated[
        list[str] | None,
        Parameter(help="Held-out data; the first chooses the best trial, the last tells the gain. May be given again."),
    ] = None,
    base: Annotated[str, Parameter(help="Base model, or custom model that is trained further.")] = "outcrop.starter-v1",
    trials: Annotated[int, Parameter(help="Trials; the first has the hyperparameters without a search.")] = 16,
    rank: Annotated[str | None, Parameter(help="Ranks to search: 4..64, '4..64 log' or '4|8|16'.")] = None,
    learning_rate: Annotated[str | None, Parameter(help="Rates to search: 1e-4..1e-2, log by itself.")] = None,
    epochs: Annotated[str | None, Parameter(help="Epochs to search: 1..3.")] = None,
    batch_size: Annotated[str | None, Parameter(help="Batch sizes to search: '1|4|16'.")] = None,
    space: Annotated[
        Path | None,
        Parameter(help="A file of ranges of any hyperparameters, one a line, as in outcrop.search."),
    ] = None,
    sampler: Annotated[Literal["tpe", "random", "grid"], Parameter(help="How the next trial is chosen.")] = "tpe",
    pruner: Annotated[
        Literal["median", "hyperband", "none"], Parameter(help="Which trials stop before their end.")
    ] = "median",
    at_once: Annotated[int | None, Parameter(help="Trials side by side (default 8).")] = None,
    seed: Annotated[int, Parameter(help="One seed is one search.")] = 0,
    hyper: Annotated[list[str] | None, Parameter(help="NAME=VALUE, for all trials; may be given again.")] = None,
    customization: Annotated[str, Parameter(name="--type")] = "FINE_TUNING",
    name: Annotated[str | None, Parameter(help="Of job and model; one that is there is watched.")] = None,
    html: Annotated[Path | None, Parameter(help="Also write the study as a page by itself to this file.")] = None,
    region: Region = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Search the hyperparameters of a customization job; the best trial becomes the custom model.

    Trials learn side by side from one base in memory where they can. The exit code is 1 where the job did not complete.
    """
    from outcrop.cli.tune import TuneOptions, usual_name
    from outcrop.cli.tune import tune as search

    given = {
        "outcrop.rank": rank,
        "outcrop.learningRate": learning_rate,
        "epochCount": epochs,
        "outcrop.batchSize": batch_size,
    }
    asked = TuneOptions(
        name=name or usual_name(base),
        base=base,
        data=data,
        validation=validation or (),
        trials=trials,
        space=space,
        ranges=[f"{each}={said}" for each, said in given.items() if said is not None],
        sampler=sampler,
        pruner=pruner,
        at_once=at_once,
        seed=seed,
        hyper=hyper or (),
        customization=customization,
        region=region,
        html=html,
        as_json=as_json,
    )
    return search(running(home), asked)


@app.command
def estimate(
    file: Path | None = None,
    *,
    base: Annotated[str, Parameter(help="Base model that would be trained.")] = "outcrop.starter-v1",
    validation: Path | None = None,
    customization: Annotated[str, Parameter(name="--type")] = "FINE_TUNING",
    records: Annotated[int, Parameter(help="How many there are, where no file is given.")] = 1000,
    tokens: Annotated[int, Parameter(help="Of each record, where no file is given.")] = 256,
    hyper: Annotated[list[str] | None, Parameter(help="NAME=VALUE, as in a job; may be given again.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Say how much memory and time a job would need on this machine, and whether it fits, without starting one."""
    from outcrop.cli.estimating import (  # torch takes seconds to import; no other command needs it
        EstimateOptions,
        print_estimate,
    )

    asked = EstimateOptions(
        base=base,
        customization=customization,
        file=file,
        validation=validation,
        records=records,
        tokens=tokens,
        hyper=hyper or (),
    )
    return print_estimate(settings_of.read(home=home), asked, as_json=as_json)


def _tell_way(entry: BaseModel) -> None:
    if entry.stands_in:
        print(
            f"{entry.engine} writes text: the mean of its hidden states stands in for the vectors of {entry.id}. An "
            "encoder makes far better ones."
        )
    elif entry.task is not ModelTask.TEXT:
        _tell_encoder(entry)
    elif entry.verdict is not None and entry.way is not RunMode.PACKED:
        print(f"It is trained {entry.way} and answers one request after the other: {entry.verdict.why}.")


def _tell_encoder(entry: BaseModel) -> None:
    from outcrop.network import encoder_facts

    assert entry.folder is not None, "what is told of was just put there"
    told = encoder_facts.read(entry.folder)
    if entry.task is ModelTask.EMBEDDING:
        pooling = ", ".join(told.pooling)
        unsaid = "" if told.is_described else "; no modules.json says so, and this is what is usual"
        print(f"It makes vectors of {told.width} numbers, pooling: {pooling}{unsaid}.")
    else:
        print("It ranks documents by their relevance to a query.")
    if entry.way is RunMode.ONE_RECORD_A_ROW and entry.verdict is not None:
        print(f"It reads one text at a time: {entry.verdict.why}.")


class _Stop:
    """Set by SIGINT or SIGTERM, once the command listens for them."""

    def __init__(self) -> None:
        self.code = 0
        "What a command ends with that was stopped, as shells say it: 128 and the number of the signal."
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def asked(self) -> bool:
        return bool(self.code)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.code = 128 + number


def _as_answering(settings: Settings) -> Settings | None:
    """The settings with the address of the `outcrop up` that answers for this home; None where none does."""
    if not (settings.home / PARTS_FILE).is_file():
        return None
    found = as_running(settings)
    return found if answers(found) else None


def _environment(settings: Settings, installation: "Installation", *, for_sagemaker: bool) -> dict[str, str]:
    return {**os.environ, **export.environment(settings, installation, for_sagemaker=for_sagemaker)}


def _run(command: tuple[str, ...], environment: dict[str, str], stop: "_Stop", *, watch: Watch) -> int:
    """The exit code of the command, or that of the signal which stopped it and all it had started."""
    with start(command, environment, umask=private.users_umask()) as process:
        watch(lambda: stop.asked() or process.poll() is not None)
        if process.poll() is None:
            _end(process, watch=watch)
    return stop.code if stop.asked() else _as_shells_say(process.returncode)


def _wait(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(_LOOK_S)


def _end(process: "subprocess.Popen[bytes]", *, watch: Watch) -> None:
    """SIGTERM to the command and all it started, and SIGKILL when that is not heard within ten seconds."""
    os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    watch(lambda: process.poll() is not None or time.monotonic() > deadline)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _as_shells_say(code: int) -> int:
    return code if code >= 0 else 128 - code


def _with_free_port(settings: Settings) -> Settings:
    try:
        check_port(settings)
    except PortTaken:
        return replace(settings, port=free_port(settings.host))
    return settings
