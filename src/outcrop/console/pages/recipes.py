"""Recipes: what people have, made into records; a form for each."""

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.views.model_views import model_cards
from outcrop.console.visit import ConsoleVisit
from outcrop.recipes import forms
from outcrop.recipes.forms import RecipeForm

_MOST_OBJECTS = 500


def show(visit: ConsoleVisit) -> Response:
    return visit.page("recipes.html", recipes=forms.RECIPES, bucket=visit.asked("bucket"))


def show_one(visit: ConsoleVisit) -> Response:
    """The form of one recipe."""
    recipe = forms.BY_NAME.get(str(visit.request.path_params.get("recipe", "")))
    return visit.to("/data/recipes") if recipe is None else _form(visit, recipe, {})


def run(visit: ConsoleVisit) -> Response:
    """The recipe begins, or its form is shown again with the sentence that refused it."""
    recipe = forms.BY_NAME.get(visit.form.get("recipe", ""))
    if recipe is None:
        return visit.to("/data/recipes")
    sources = [line.strip() for line in visit.form.get("sources", "").splitlines() if line.strip()]
    query: dict[str, str | list[str]] = {
        "recipe": recipe.name,
        "source": sources,
        "out": visit.form.get("out", "").strip(),
    }
    for field in (*recipe.fields, *forms.COMMON):
        text = visit.form.get(field.name, "").strip()
        if text:
            query[field.name] = text
    try:
        task = visit.api.own("/outcrop/recipes", query, method="POST")
    except ClientError as refusal:
        return _form(visit, recipe, visit.form, problem=refusal.response["Error"]["Message"])
    return visit.to("/tasks", id=task["id"])


def _form(visit: ConsoleVisit, recipe: RecipeForm, given: object, *, problem: str = "") -> Response:
    buckets = [each["Name"] for each in visit.api.listed("s3", "list_buckets", "Buckets").items]
    bucket = visit.asked("bucket") or (buckets[0] if buckets else "")
    uris: list[str] = []
    if bucket:
        found = visit.api.listed("s3", "list_objects_v2", "Contents", Bucket=bucket, MaxKeys=_MOST_OBJECTS)
        uris = [f"s3://{bucket}/{each['Key']}" for each in found.items]
    cards = model_cards(visit.api.listed("bedrock", "list_foundation_models", "modelSummaries").items)
    return visit.page(
        "recipe.html",
        recipe=recipe,
        given=given,
        problem=problem,
        bucket=bucket,
        uris=[uri for uri in uris if uri.lower().endswith(tuple(recipe.suffixes))],
        bases=[card.id for card in cards if card.customizations],
        own=recipe.fields,
        common=forms.COMMON,
    )
