"""Tokens that the network has no embedding for are found before they reach it."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from outcrop.cli.fetching import register_folder
from outcrop.datasets.preflight import examine
from outcrop.errors import Invalid
from outcrop.network import vocabulary
from outcrop.settings import Settings
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.examples import read_examples
from tests.support.tiny import CONTEXT_LENGTH, tiny_model


def grown(folder: Path, *tokens: str, special: bool = False, **config: Any) -> Path:
    """A tiny model whose tokenizer got more tokens, and whose network did not."""
    tiny_model(folder)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    if special:
        tokenizer.add_special_tokens(list(tokens))
    else:
        tokenizer.add_tokens(list(tokens))
    tokenizer.save(str(folder / "tokenizer.json"))
    place = folder / "tokenizer_config.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **config}))
    network = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**network, "vocab_size": rows(folder)}))
    return folder


def rows(folder: Path) -> int:
    """The number of rows of the embedding, as the tiny model has it."""
    return int(json.loads((folder / "config.json").read_text())["vocab_size"])


@pytest.mark.parametrize("special", [False, True])
def test_a_tokenizer_beyond_the_embedding_is_not_registered(special: bool, tmp_path: Path) -> None:
    folder = grown(tmp_path / "grown", "<x>", "<y>", special=special)
    with pytest.raises(Invalid) as refused:
        register_folder(Settings(home=tmp_path / "home"), folder, model_id=None, name=None)
    assert refused.value.message == (
        f"{folder}: the tokenizer's token '<x>' has id 384 and 1 more, beyond the 384 rows of the network's embedding. "
        "Save the network after resize_token_embeddings(len(tokenizer)), or take the added tokens out of the tokenizer."
    )


def test_the_rows_of_the_files_count_where_the_configuration_is_wrong(tmp_path: Path) -> None:
    folder = grown(tmp_path / "grown", "<x>")
    network = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**network, "vocab_size": 400}))
    with pytest.raises(Invalid, match="beyond the 384 rows"):
        register_folder(Settings(home=tmp_path / "home"), folder, model_id=None, name=None)


def test_a_token_for_padding_alone_may_lie_beyond(tmp_path: Path) -> None:
    folder = grown(tmp_path / "grown", "[PAD]", special=True, pad_token="[PAD]")
    vocabulary.check(folder, Tokenizer.open(folder))


def test_an_embedding_larger_than_the_tokenizer_is_registered(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    assert Tokenizer.open(folder).vocab_size <= rows(folder)
    vocabulary.check(folder, Tokenizer.open(folder))


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "say <x>", "completion": "yes"},
        {"prompt": "say", "completion": "yes <x>"},
        {"messages": [{"role": "user", "content": "<x>"}, {"role": "assistant", "content": "yes"}]},
    ],
)
def test_preflight_names_the_line_and_the_token(record: dict[str, Any], tmp_path: Path) -> None:
    folder = grown(tmp_path / "grown", "<x>")
    file = tmp_path / "train.jsonl"
    good = {**record, **{key: value.replace("<x>", "") for key, value in record.items() if isinstance(value, str)}}
    if "messages" in record:
        good = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "yes"}]}
    file.write_text("".join(json.dumps(one) + "\n" for one in (good, record)))
    told = (
        "train.jsonl:2: token '<x>' has id 384 beyond the model's 384. "
        "Take the token's spelling out of the record, or register the model with its embedding resized."
    )
    tokenizer = Tokenizer.open(folder)
    found = examine([file], tokenizer=tokenizer, context_length=CONTEXT_LENGTH, customization="FINE_TUNING")
    assert [str(problem) for problem in found.problems] == [told]
    with pytest.raises(Invalid) as refused:
        read_examples(file, tokenizer, context_length=CONTEXT_LENGTH, customization="FINE_TUNING")
    assert refused.value.message == told


@pytest.mark.parametrize(
    "template", ["{{ 1 / 0 }}", "{% for m in messages %}{{ m.content + nothing.at_all }}{% endfor %}"]
)
def test_a_model_whose_template_cannot_be_rendered_is_not_registered(template: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(Invalid, match=f"^{folder}: The model's chat template cannot be rendered: "):
        register_folder(Settings(home=tmp_path / "home"), folder, model_id=None, name=None)


@pytest.mark.parametrize(
    "template", [3, ["x"], [{"name": "default", "template": 5}], [{"template": "x"}], {"default": []}]
)
def test_a_template_that_is_no_text_is_told(template: object, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    place = folder / "tokenizer_config.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "chat_template": template}))
    with pytest.raises(Invalid, match=r"tokenizer_config\.json: chat_template: expected .*Mend it, or remove it\.$"):
        register_folder(Settings(home=tmp_path / "home"), folder, model_id=None, name=None)


@pytest.mark.parametrize(
    "template",
    [
        [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "{{ 'x' }}"}],
        {"default": "{{ 'x' }}", "rag": "r"},
    ],
)
def test_of_several_named_templates_the_default_one_is_taken(template: object, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    place = folder / "tokenizer_config.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "chat_template": template}))
    tokenizer = Tokenizer.open(folder)
    assert tokenizer.chat_text([{"role": "user", "content": "hi"}], add_generation_prompt=True) == "x"
