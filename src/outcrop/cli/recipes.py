"""`outcrop data`: what people have, made into records; one command a recipe."""

from pathlib import Path

from cyclopts import App

from outcrop.cli.recipe_options import RecipeOptions, prepare, source_files
from outcrop.recipes import dolly as dolly_recipe

app = App(
    name="data",
    help="Make training records of what there is: one command a recipe, each with a card that tells what was done.",
)


@app.command
def dolly(*sources: Path, options: RecipeOptions) -> int:
    """Instructions, with or without knowledge, in the columns of databricks-dolly-15k or its Japanese translation."""
    files = source_files(sources)
    return prepare(
        dolly_recipe.dolly,
        files,
        dolly_recipe.dolly(files),
        options,
        split=dolly_recipe.SPLIT,
        most_characters=dolly_recipe.MOST_CHARACTERS,
    )
