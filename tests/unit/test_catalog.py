"""The catalogue: identifiers in all of Bedrock's forms, directories registered, closed models with a stand-in."""

import json
import re
from pathlib import Path

import pytest

from outcrop.catalog.catalog import HOME_FILE, Catalog
from outcrop.customization.choices.hyperparameters import read_family
from outcrop.errors import Invalid, MachineTrouble, ModelDamaged
from outcrop.invocation.dialects.choice import DIALECTS
from outcrop.invocation.encoder_dialects import choice
from outcrop.network.model_task import ModelTask

FULL_ID = re.compile(r"[a-z0-9-]{1,63}[.][a-z0-9-]{1,63}([:][a-z0-9-]{1,63}){0,2}")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


def model_folder(place: Path) -> Path:
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
    return place


def register(catalog: Catalog, place: Path, model_id: str = "local.small-v1", task: ModelTask = ModelTask.TEXT) -> None:
    folder = model_folder(place)
    catalog.register(folder, model_id=model_id, name="Small", context_length=4096, licence="MIT", task=task)


def test_every_shipped_id_fits_the_service_model(catalog: Catalog) -> None:
    for entry in catalog.entries():
        assert FULL_ID.fullmatch(entry.full_id)
        assert len(entry.name) <= 20
        assert len(entry.provider) <= 20


def test_no_id_is_shipped_twice(catalog: Catalog) -> None:
    names = [name for entry in catalog.entries() for name in set(entry.names)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "identifier",
    [
        "local.small-v1",
        "local.small-v1:0",
        "local.small-v1:0:4k",
        "arn:aws:bedrock:eu-west-1::foundation-model/local.small-v1",
        "arn:aws:bedrock:us-east-1::foundation-model/local.small-v1:0:4k",
    ],
)
def test_a_model_answers_to_every_form_of_its_id(catalog: Catalog, tmp_path: Path, identifier: str) -> None:
    register(catalog, tmp_path / "small")
    assert catalog.usable(identifier).id == "local.small-v1"


def test_an_unknown_id_is_refused_in_bedrocks_words(catalog: Catalog) -> None:
    with pytest.raises(Invalid, match=r"^The provided model identifier is invalid\. \('nobody.knows-v1' is not in"):
        catalog.usable("nobody.knows-v1")


def test_a_model_without_weights_tells_how_to_get_them(catalog: Catalog) -> None:
    with pytest.raises(Invalid, match=r"`outcrop pull qwen.qwen3-0-6b-v1` downloads it"):
        catalog.usable("qwen.qwen3-0-6b-v1")
    with pytest.raises(Invalid, match=r"`outcrop alias amazon.titan-text-lite-v1 outcrop.starter-v1`"):
        catalog.usable("amazon.titan-text-lite-v1")


def test_an_alias_keeps_its_own_dialect_and_hyperparameters(catalog: Catalog, tmp_path: Path) -> None:
    register(catalog, tmp_path / "small")
    catalog.alias("amazon.titan-text-lite-v1", "local.small-v1")
    titan = catalog.usable("amazon.titan-text-lite-v1:0:4k")
    assert (titan.engine, titan.dialect, titan.hyperparameters) == ("local.small-v1", "titan", "titan-text")
    assert titan.folder == tmp_path / "small"


def test_an_alias_has_no_more_context_than_the_weights_behind_it(catalog: Catalog, tmp_path: Path) -> None:
    register(catalog, tmp_path / "small")
    catalog.alias("amazon.titan-text-express-v1", "local.small-v1")
    assert catalog.usable("amazon.titan-text-express-v1").context_length == 4096


def test_a_new_name_may_be_an_alias_too(catalog: Catalog, tmp_path: Path) -> None:
    register(catalog, tmp_path / "small")
    assert catalog.alias("house.poet-v1", "local.small-v1").engine == "local.small-v1"


def test_another_process_sees_a_registered_model_at_once(catalog: Catalog, tmp_path: Path) -> None:
    assert catalog.find("local.small-v1") is None
    register(Catalog(tmp_path), tmp_path / "small")
    assert catalog.usable("local.small-v1").context_length == 4096


def test_a_directory_that_is_gone_is_said_so(catalog: Catalog, tmp_path: Path) -> None:
    register(catalog, tmp_path / "small")
    (tmp_path / "small" / "config.json").unlink()
    with pytest.raises(
        ModelDamaged, match=r"^local\.small-v1: its directory is gone, or holds no config\.json\. Put it back"
    ):
        Catalog(tmp_path).usable("local.small-v1")


def test_an_id_is_not_given_to_two_directories(catalog: Catalog, tmp_path: Path) -> None:
    register(catalog, tmp_path / "small")
    with pytest.raises(Invalid, match=r"^local.small-v1: this id is in the catalogue already"):
        register(catalog, tmp_path / "other")


def test_a_broken_catalogue_names_its_file(tmp_path: Path) -> None:
    (tmp_path / HOME_FILE).write_text("[[model]]\nid = 3 = 4\n")
    with pytest.raises(MachineTrouble, match=rf"^{tmp_path}/{HOME_FILE}: not a model catalogue"):
        Catalog(tmp_path).entries()


@pytest.mark.parametrize(
    ("given", "kept", "provider", "dialect", "hyperparameters"),
    [
        ("anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-sonnet-4-20250514-v1:0", "Anthropic", "claude", "claude"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "anthropic.claude-3-5-haiku-20241022-v1:0", "Anthropic", "claude", "claude"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us-gov.anthropic.claude-3-7-sonnet-v1:0", "anthropic.claude-3-7-sonnet-v1:0", "Anthropic", "claude", "claude"),
        ("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-premier-v1:0:1000k", "amazon.nova-premier-v1:0", "Amazon", "nova", "nova"),
        ("apac.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0", "Amazon", "nova", "nova"),
        ("amazon.titan-tg1-large", "amazon.titan-tg1-large", "Amazon", "titan", "titan-text"),
        ("amazon.titan-text-premier-v2:0", "amazon.titan-text-premier-v2:0", "Amazon", "titan", "titan-premier"),
        ("cohere.command-r-plus-v1:0", "cohere.command-r-plus-v1:0", "Cohere", "any", "cohere"),
        ("cohere.command-text-v15", "cohere.command-text-v15", "Cohere", "cohere", "cohere"),
        ("global.meta.llama4-scout-17b-instruct-v1:0", "meta.llama4-scout-17b-instruct-v1:0", "Meta", "llama", "llama"),
        ("mistral.mixtral-8x7b-instruct-v0:1", "mistral.mixtral-8x7b-instruct-v0:1", "Mistral AI", "mistral", "outcrop"),
        ("jp.deepseek.r1-v1:0", "deepseek.r1-v1:0", "DeepSeek", "deepseek", "outcrop"),
        ("ai21.jamba-1-5-mini-v1:0", "ai21.jamba-1-5-mini-v1:0", "AI21 Labs", "openai", "outcrop"),
        ("openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b-1:0", "OpenAI", "openai", "outcrop"),
        ("qwen.qwen3-32b-v1:0", "qwen.qwen3-32b-v1:0", "Qwen", "any", "outcrop"),
    ],
)  # fmt: skip
def test_an_id_that_nobody_listed_has_what_its_beginning_tells(
    catalog: Catalog, tmp_path: Path, given: str, kept: str, provider: str, dialect: str, hyperparameters: str
) -> None:
    register(catalog, tmp_path / "small")
    entry = catalog.alias(given, "local.small-v1")
    found = (entry.id, entry.provider, entry.dialect, entry.hyperparameters, entry.engine)
    assert found == (kept, provider, dialect, hyperparameters, "local.small-v1")
    assert FULL_ID.fullmatch(entry.full_id)
    plain = kept.split(":")[0]
    assert all(
        catalog.usable(form).id == kept
        for form in (kept, entry.full_id, f"{plain}:0:48k")
        if ":0" in kept or form == kept
    )
    assert len(entry.name) <= 20
    read_family(entry.hyperparameters)
    assert entry.dialect in {"any", *DIALECTS}


@pytest.mark.parametrize(
    ("model_id", "does"),
    [
        ("amazon.titan-embed-image-v1", "makes vectors of more than text"),
        ("amazon.nova-2-multimodal-embeddings-v1:0", "makes vectors of more than text"),
        ("amazon.titan-image-generator-v2:0", "makes pictures"),
        ("amazon.nova-canvas-v1:0", "makes pictures"),
        ("amazon.nova-reel-v1:1", "makes films"),
        ("amazon.nova-2-sonic-v1:0", "speaks"),
        ("stability.sd3-5-large-v1:0", "makes pictures"),
        ("eu.twelvelabs.pegasus-1-2-v1:0", "watches films"),
    ],
)
def test_a_model_of_more_than_text_is_no_alias(catalog: Catalog, tmp_path: Path, model_id: str, does: str) -> None:
    register(catalog, tmp_path / "small")
    with pytest.raises(Invalid, match=f": a model that {does}, and no text model can stand in for it"):
        catalog.alias(model_id, "local.small-v1")


def test_a_name_of_ones_own_may_say_anything(catalog: Catalog, tmp_path: Path) -> None:
    register(catalog, tmp_path / "small")
    assert catalog.alias("house.image-captions-v1", "local.small-v1").dialect == "any"


@pytest.mark.parametrize(
    ("given", "task", "dialect"),
    [
        ("amazon.titan-embed-text-v1", ModelTask.EMBEDDING, "titan-embed-v1"),
        ("amazon.titan-embed-g1-text-02", ModelTask.EMBEDDING, "titan-embed-v1"),
        ("amazon.titan-embed-text-v2:0", ModelTask.EMBEDDING, "titan-embed-v2"),
        ("us.cohere.embed-v4:0", ModelTask.EMBEDDING, "cohere-embed-v4"),
        ("cohere.embed-multilingual-v3", ModelTask.EMBEDDING, "cohere-embed-v3"),
        ("cohere.rerank-v3-5:0", ModelTask.RERANKING, "cohere-rerank"),
        ("arn:aws:bedrock:us-west-2::foundation-model/amazon.rerank-v1:0", ModelTask.RERANKING, "amazon-rerank"),
        ("house.vectors-v1", ModelTask.EMBEDDING, "any"),
    ],
)
def test_an_id_of_aws_stands_before_a_model_of_its_task(
    catalog: Catalog, tmp_path: Path, given: str, task: ModelTask, dialect: str
) -> None:
    register(catalog, tmp_path / "encoder", "local.encoder", task)
    entry = catalog.alias(given, "local.encoder")
    assert (entry.task, entry.engine_task, entry.dialect, entry.engine) == (task, task, dialect, "local.encoder")
    assert (entry.stands_in, entry.customizations) == (False, ())
    assert dialect in {"any", *choice.EMBEDDING, *choice.RANKING}


@pytest.mark.parametrize(
    ("alias", "task", "sentence"),
    [
        ("amazon.nova-lite-v1:0", ModelTask.EMBEDDING, "amazon.nova-lite-v1:0: a model that writes text, and local.small-v1 makes vectors."),
        ("amazon.rerank-v1:0", ModelTask.EMBEDDING, "amazon.rerank-v1:0: a model that ranks documents, and local.small-v1 makes vectors."),
        ("amazon.rerank-v1:0", ModelTask.TEXT, "amazon.rerank-v1:0: a model that ranks documents, and local.small-v1 writes text."),
        ("cohere.embed-v4:0", ModelTask.RERANKING, "cohere.embed-v4:0: a model that makes vectors, and local.small-v1 ranks documents."),
    ],
)  # fmt: skip
def test_a_model_of_another_task_is_no_stand_in(
    catalog: Catalog, tmp_path: Path, alias: str, task: ModelTask, sentence: str
) -> None:
    register(catalog, tmp_path / "small", task=task)
    with pytest.raises(Invalid) as refused:
        catalog.alias(alias, "local.small-v1")
    assert str(refused.value).startswith(sentence)


def test_a_text_model_may_stand_in_for_an_embedding_model_and_it_is_known(catalog: Catalog, tmp_path: Path) -> None:
    register(catalog, tmp_path / "small")
    entry = catalog.alias("amazon.titan-embed-text-v2:0", "local.small-v1")
    assert (entry.task, entry.engine_task, entry.stands_in) == (ModelTask.EMBEDDING, ModelTask.TEXT, True)
    again = Catalog(tmp_path).alias("cohere.embed-english-v3", "amazon.titan-embed-text-v2:0")
    assert (again.engine, again.stands_in) == ("local.small-v1", True)


def test_an_alias_reads_with_the_prompts_of_the_model_behind_it(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "e5")
    (tmp_path / HOME_FILE).write_text(
        f"""[[model]]
id = "house.e5"
name = "E5"
provider = "House"
task = "embedding"
weights = {{ directory = "{folder}" }}
context_length = 512
context = "512"
prompts = {{ query = "query: ", document = "passage: " }}
default_prompt = "query"
"""
    )
    entry = Catalog(tmp_path).alias("cohere.embed-english-v3", "house.e5")
    assert (entry.prompts, entry.default_prompt) == ({"query": "query: ", "document": "passage: "}, "query")
    assert entry.context_length == 512


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('task = "vectors"', "'vectors' is not a valid ModelTask"),
        ("prompts = { query = 1 }", "prompts: give each name a text"),
    ],
)
def test_a_task_or_a_prompt_that_is_none_names_the_entry(tmp_path: Path, line: str, problem: str) -> None:
    lines = ['id = "a.b"', 'name = "B"', 'provider = "A"', "context_length = 9", 'context = "1k"', line]
    (tmp_path / HOME_FILE).write_text("\n".join(["[[model]]", *lines]))
    with pytest.raises(MachineTrouble, match=problem):
        Catalog(tmp_path).entries()
