"""`outcrop data`: what people have, made into records; one command a recipe."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from outcrop.cli import document_recipes, grounded_recipe
from outcrop.cli.data_files import check_data_file
from outcrop.cli.recipe_options import RecipeOptions, prepare, source_files
from outcrop.errors import Invalid
from outcrop.recipes import dialogue as dialogue_recipe
from outcrop.recipes import dolly as dolly_recipe
from outcrop.recipes import feedback as feedback_recipe
from outcrop.recipes import infill as infill_recipe
from outcrop.recipes import musicxml as musicxml_recipe
from outcrop.recipes import verse as verse_recipe
from outcrop.recipes.melodies import SUFFIXES as SCORES

app = App(
    name="data",
    help="Make training records of what there is: one command a recipe, each with a card that tells what was done.",
)
document_recipes.add_to(app)
grounded_recipe.add_to(app)


AllKeys = Annotated[bool, Parameter(name="--all-keys", negative="", help="Each melody in all twelve keys.")]


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


@app.command
def dialogue(
    *sources: Path,
    first: Annotated[int, Parameter(help="Take the first so many rows; 0 takes all.")] = dialogue_recipe.FIRST_ROWS,
    options: RecipeOptions,
) -> int:
    """Dialogues to be summarized, in the columns of DialogSum, SAMSum or MTS-Dialog."""
    if first < 0:
        raise Invalid(f"--first {first}: below 0. Give a number of rows, or 0 for all.")
    files = source_files(sources)
    items = dialogue_recipe.dialogue(files, first=first)
    return prepare(dialogue_recipe.dialogue, files, items, options, told={"first": first})


@app.command
def verse(
    *sources: Path,
    any_morae: Annotated[
        bool, Parameter(name="--any-morae", negative="", help="Keep verses that have not exactly 5-7-5-7-7 morae.")
    ] = False,
    options: RecipeOptions,
) -> int:
    """Japanese poems of 31 morae: an upper verse, and the lower one that answers it."""
    files = source_files(sources)
    items = verse_recipe.verse(files, any_morae=any_morae)
    return prepare(verse_recipe.verse, files, items, options, told={"any-morae": any_morae})


@app.command
def feedback(
    *sources: Path,
    ratings: Annotated[
        Path | None, Parameter(help="JSON Lines of requestId and rating, and a better completion where there is one.")
    ] = None,
    least_rating: Annotated[float, Parameter(help="Answers rated lower are left out.")] = feedback_recipe.LEAST_RATING,
    metadata: Annotated[
        list[str] | None,
        Parameter(help="KEY=VALUE or KEY!=VALUE of the invocation's requestMetadata; may be repeated."),
    ] = None,
    any_metadata: Annotated[
        bool, Parameter(name="--any-metadata", negative="", help="One of the --metadata tests is enough.")
    ] = False,
    model: Annotated[str | None, Parameter(help="Part of the id or ARN of the model that answered.")] = None,
    conversations: Annotated[
        bool, Parameter(name="--conversations", negative="", help="Write messages, with system prompts and all turns.")
    ] = False,
    options: RecipeOptions,
) -> int:
    """Answers that people were content with, from Bedrock's model invocation logs and ratings of them."""
    files = source_files(sources, suffixes=(".json", ".jsonl", ".gz"))
    rated = None if ratings is None else check_data_file(ratings)
    choice = feedback_recipe.FeedbackFilter(
        metadata=[feedback_recipe.parse_metadata_test(each) for each in metadata or ()],
        any_metadata=any_metadata,
        model=model,
        least_rating=least_rating,
    )
    items = feedback_recipe.feedback(files, ratings=rated, choice=choice, conversations=conversations)
    told = {
        "ratings": "none" if rated is None else rated.name,
        "least-rating": f"{least_rating:g}",
        "metadata": (" or " if any_metadata else " and ").join(map(str, choice.metadata)) or "any",
        "model": model or "any",
        "conversations": conversations,
    }
    return prepare(feedback_recipe.feedback, [*files, *([rated] if rated else [])], items, options, told=told)


@app.command
def musicxml(
    *sources: Path,
    form: Annotated[
        Literal["abc", "article"], Parameter(help="ABC 2.1 with its fields, or Gen Parker's bare notes.")
    ] = "abc",
    chords: Annotated[
        Literal["both", "with", "without"], Parameter(help="Each melody with chord symbols, without, or both.")
    ] = "both",
    all_keys: Annotated[
        bool, Parameter(name="--all-keys", negative="", help="Each melody in all twelve keys.")
    ] = False,
    options: RecipeOptions,
) -> int:
    """Scores in MusicXML, MXL or ABC: melodies as text for continued pre-training, one a line."""
    files = source_files(sources, suffixes=SCORES)
    items = musicxml_recipe.musicxml(files, form=form, chords=chords, all_keys=all_keys)
    told = {"form": form, "chords": chords, "all-keys": all_keys}
    return prepare(musicxml_recipe.musicxml, files, items, options, told=told)


@app.command
def infill(
    *sources: Path,
    window: Annotated[int, Parameter(help="Bars of a window; all but the first and the last are asked for.")] = 3,
    form: Annotated[
        Literal["article", "variant"], Parameter(help="Chords of one bar parted by a space, or by a comma.")
    ] = "article",
    all_keys: Annotated[
        bool, Parameter(name="--all-keys", negative="", help="Each melody in all twelve keys.")
    ] = False,
    options: RecipeOptions,
) -> int:
    """Melodies with chord symbols, in MusicXML, MXL or ABC: the bars between two bars, asked for by their chords."""
    files = source_files(sources, suffixes=SCORES)
    items = infill_recipe.infill(files, window=window, form=form, all_keys=all_keys)
    return prepare(
        infill_recipe.infill, files, items, options, told={"window": window, "form": form, "all-keys": all_keys}
    )
