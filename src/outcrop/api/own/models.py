"""Models that come in, go out, and forget: `outcrop pull`, `register`, `export` and `forget` as tasks.

    POST /outcrop/pull?model=ID                          a catalogue's id, owner/name of a hub, or s3://BUCKET/PREFIX/
    POST /outcrop/register?place=/a/folder               a folder, a GGUF file or an adapter on the server's machine
    POST /outcrop/export?model=ARN&place=s3://…&form=…   adapter, merged or gguf
    POST /outcrop/forget?model=ARN&line=3&yes=true       without `yes` the plan alone

Each needs an action of its own: `outcrop:PullModel` and `outcrop:RegisterModel` on `*`, `outcrop:ExportModel` and
`outcrop:ForgetRecords` on the model. The commands act as the administrator; so objects that they read or write are held
against the caller's policies here.
"""

from typing import Any

from outcrop.api.own import objects
from outcrop.api.own.operation import OwnCall
from outcrop.buckets.names import parse_s3_uri
from outcrop.catalog import custom_model_states
from outcrop.errors import Invalid, NotFound

_FORMS = ("adapter", "merged", "gguf")
_SELECTIONS = ("line", "matching", "like", "file")
_NAMES = ("id", "name", "context")


def pull_model(call: OwnCall) -> Any:
    """Raises a refusal for who may not, Invalid for no model."""
    caller = call.allowed("outcrop:PullModel")
    wanted = _plain(call, "model")
    if wanted.startswith("s3://"):
        bucket, prefix = parse_s3_uri(wanted)
        objects.may_read_model(call, bucket, _folder(prefix))
    command = ["pull", wanted, *_given(call, _NAMES)]
    return call.tasks.begin("pull", wanted, command, owner=caller.arn).told()


def register_model(call: OwnCall) -> Any:
    """Raises a refusal for who may not, Invalid for no place."""
    caller = call.allowed("outcrop:RegisterModel")
    place = _plain(call, "place")
    command = ["register", place, *_given(call, (*_NAMES, "base"))]
    return call.tasks.begin("register", place, command, owner=caller.arn).told()


def export_model(call: OwnCall) -> Any:
    """Raises a refusal for who may not, Invalid for a place that is no bucket's."""
    arn = _plain(call, "model")
    caller = call.allowed("outcrop:ExportModel", arn)
    _demand_model(call, arn)
    place, form = _plain(call, "place"), call.one("form")
    if not place.startswith("s3://"):
        raise Invalid(f"place: {place!r} is not s3://BUCKET/PREFIX/. `outcrop export` writes to folders.")
    if form and form not in _FORMS:
        raise Invalid(f"form: {form!r} is none of {', '.join(_FORMS)}.")
    bucket, prefix = parse_s3_uri(place)
    objects.may_write_below(call, bucket, _folder(prefix.rstrip("/")))
    command = ["export", arn, place, *([f"--as={form}"] if form else [])]
    return call.tasks.begin("export", arn, command, owner=caller.arn).told()


def forget_records(call: OwnCall) -> Any:
    """Raises a refusal for who may not, Invalid where it is not said what is to be forgotten."""
    arn = _plain(call, "model")
    caller = call.allowed("outcrop:ForgetRecords", arn)
    _demand_model(call, arn)
    selected = _given(call, _SELECTIONS)
    if not selected:
        raise Invalid("line, matching, like: say which records shall be forgotten.")
    is_meant = call.one("yes").lower() in ("1", "true", "yes")
    command = ["forget", arn, *selected, *_given(call, ("name",)), "--yes" if is_meant else "--dry-run"]
    if is_meant and call.one("swap").lower() in ("1", "true", "yes"):
        command.append("--swap")
    kind = "forget" if is_meant else "forget-plan"
    return call.tasks.begin(kind, arn, command, owner=caller.arn).told()


def list_tasks(call: OwnCall) -> Any:
    """Every task, or the one with this id. Raises a refusal for who may not, NotFound."""
    call.allowed("outcrop:ListTasks")
    wanted = call.one("id")
    return {"tasks": [each.told() for each in ([call.tasks.get(wanted)] if wanted else call.tasks.all())]}


def stop_task(call: OwnCall) -> Any:
    """Raises a refusal for who may not, NotFound."""
    call.allowed("outcrop:StopTask")
    task = call.tasks.get(call.one("id"))
    call.touches(task.about)
    call.tasks.stop(task)
    return task.told()


def _plain(call: OwnCall, name: str) -> str:
    """A value that is no option of a command. Raises Invalid for one that looks like it, and for none."""
    text = call.one(name).strip()
    if not text or text.startswith("-"):
        raise Invalid(f"{name}: {text!r} is none. See the operation's page in docs/console.md.")
    return text


def _folder(prefix: str) -> str:
    """The prefix as that of a folder; of a whole bucket it is empty."""
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _given(call: OwnCall, names: tuple[str, ...]) -> list[str]:
    return [f"--{name}={text}" for name in names if (text := call.one(name).strip())]


def _demand_model(call: OwnCall, arn: str) -> None:
    row = call.house.store.resources.get(arn)
    if row is None or row.kind != custom_model_states.KIND:
        raise NotFound(f"model: there is no custom model with the ARN {arn}.")
