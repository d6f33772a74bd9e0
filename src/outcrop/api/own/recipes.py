"""POST /outcrop/recipes?recipe=verse&source=s3://…&out=s3://BUCKET/PREFIX/: `outcrop data RECIPE` on objects.

    curl -X POST --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET \\
        "…/outcrop/recipes?recipe=verse&source=s3://b/poems.csv&out=s3://b/verses/&train=90%25&validation=10%25"

`source` may come again and again; options are those of the command, by their names. It is for whoever may do
`outcrop:RunRecipe`, read the sources, and write below `out`; `grounded` also asks for `bedrock:Retrieve`. The answer
is a task, and its end a folder of objects: the records in their parts, what was left out, and the card.
"""

from pathlib import Path
from typing import Any

from outcrop import arn as arns
from outcrop.api.own import objects
from outcrop.api.own.operation import OwnCall
from outcrop.buckets.names import parse_s3_uri
from outcrop.errors import Invalid
from outcrop.recipes import forms
from outcrop.recipes.forms import RecipeField, RecipeForm
from outcrop.settings import DEFAULT_REGION

_MOST_BYTES = 1 << 30
_INSTEAD = "`outcrop data` on the machine takes files of any size."
_MADE = "made"


def run_recipe(call: OwnCall) -> Any:
    """Raises a refusal for who may not, Invalid for what the recipe does not know."""
    caller = call.allowed("outcrop:RunRecipe")
    recipe = _recipe(call.one("recipe"))
    sources, out = call.all("source"), call.one("out")
    if not sources or not out:
        raise Invalid("source, out: name the objects to read, and s3://BUCKET/PREFIX/ for the records.")
    bucket, prefix = parse_s3_uri(out if out.endswith("/") else f"{out}/")
    objects.may_write_below(call, bucket, prefix)
    call.house.buckets.head(bucket)
    folder = call.tasks.folder()
    try:
        command = ["data", recipe.name, *_files(call, sources, folder)]
        command += _options(call, recipe, folder)
    except BaseException:  # also a full disk, and a name that no file can have
        _empty(folder)
        raise
    command += ["--out", str(folder / _MADE)]

    def publish(made_in: Path) -> str:
        made = sorted(path for path in (made_in / _MADE).iterdir() if path.is_file() and not path.name.startswith("."))
        for path in made:
            call.house.buckets.put_file(bucket, f"{prefix}{path.name}", path)
        return f"The records are in s3://{bucket}/{prefix}."

    task = call.tasks.begin("recipe", recipe.name, command, owner=caller.arn, after=publish, folder=folder)
    return task.told()


def _recipe(name: str) -> RecipeForm:
    found = forms.BY_NAME.get(name)
    if found is None:
        raise Invalid(f"recipe: {name!r} is none. There are {', '.join(forms.BY_NAME)}.")
    return found


def _files(call: OwnCall, uris: list[str], folder: Path) -> list[str]:
    """The objects as files, each in a folder of its own, so that files of one name do not meet."""
    return [
        str(objects.fetched(call, uri, folder / f"source-{number}", most_bytes=_MOST_BYTES, instead=_INSTEAD))
        for number, uri in enumerate(uris)
    ]


def _options(call: OwnCall, recipe: RecipeForm, folder: Path) -> list[str]:
    known = {field.name: field for field in (*recipe.fields, *forms.COMMON)}
    unknown = set(call.names()) - known.keys() - {"recipe", "source", "out"}
    if unknown:
        raise Invalid(f"{', '.join(sorted(unknown))}: {recipe.name} has no such option. It has {', '.join(known)}.")
    options = []
    for name, field in known.items():
        for text in call.all(name):
            options += _option(call, field, text, folder)
        if field.needed and not call.one(name):
            raise Invalid(f"{name}: {recipe.name} needs it.")
    return options


def _option(call: OwnCall, field: RecipeField, text: str, folder: Path) -> list[str]:
    if field.form == "flag":
        return [f"--{field.name}"] if text.lower() in ("1", "true", "yes", "on") else []
    if field.form == "file":
        text = _files(call, [text], folder / field.name)[0]
    if field.name == "knowledge-base":
        account = call.house.account
        base = arns.Arn(service="bedrock", region=DEFAULT_REGION, account=account, resource=f"knowledge-base/{text}")
        call.demand("bedrock:Retrieve", str(base))
    return [f"--{field.name}={text}"]


def _empty(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
