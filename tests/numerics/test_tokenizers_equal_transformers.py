"""The house reads tokenizers without transformers; here it is held against transformers, id for id."""

from collections.abc import Callable
from pathlib import Path

import pytest
import transformers

from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import CHATML, byte_level, sentencepiece_like

TEXTS = ["the tea", " the tea ", "猫 and naïve 🎻\n\n  x", "<s>the", "a</s>b", ""]
TALK = [
    {"role": "system", "content": "Be brief"},
    {"role": "user", "content": "the <tea> & 猫 "},
    {"role": "assistant", "content": "is hot"},
    {"role": "user", "content": "and the"},
]
TEMPLATES = [
    CHATML,
    "{% for m in messages %}\n    {%- if m.role == 'user' %}\n  {{ m | tojson }}\n    {% endif %}\n{% endfor %}"
    "{{ eos_token }}",
    "{%- set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + loop.index %}{% if loop.index == 3 %}"
    "{% break %}{% endif %}{% endfor %}{{ bos_token }}{{ ns.n }}{% if add_generation_prompt %} go{% endif %}",
]


@pytest.mark.parametrize("kind", [byte_level, sentencepiece_like])
def test_a_document_has_the_ids_that_transformers_gives_it(kind: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = kind(tmp_path)
    ours, theirs = Tokenizer.open(folder), transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    # The convention of the beginning token is tried in the unit tests; here both start from the text's own ids.
    for text in TEXTS:
        assert ours.encode_rendered(text) == theirs(text, add_special_tokens=False)["input_ids"]
        ids = ours.encode(text, begin=False)
        assert ours.decode(ids).lstrip() == theirs.decode(ids, skip_special_tokens=True).lstrip()


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("add_generation_prompt", [True, False])
def test_a_conversation_has_the_ids_that_transformers_gives_it(
    template: str, add_generation_prompt: bool, tmp_path: Path
) -> None:
    folder = byte_level(tmp_path, chat_template=template)
    ours, theirs = Tokenizer.open(folder), transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    expected = theirs.apply_chat_template(TALK, add_generation_prompt=add_generation_prompt, return_dict=False)
    assert ours.render_chat(TALK, add_generation_prompt=add_generation_prompt) == expected
