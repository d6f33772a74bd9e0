"""Templates of models that think before they answer: what a model is to say there is learned behind what it is served."""

from pathlib import Path

import pytest

from outcrop.tokens import prompt_format
from outcrop.tokens.prompt_format import encode_chat_prompt
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import byte_level

# As DeepSeek-R1 and its distillations: the prompt opens a thought, and earlier answers are written without theirs.
R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% endif %}{% endfor %}"
    "{% for m in messages %}{% if m.role == 'user' %}{{ '<|User|>' + m.content }}{% endif %}"
    "{% if m.role == 'assistant' %}{% set content = m.content %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<|Assistant|>' + content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)
# As Qwen 3: the last answer has its thought, an empty one where it has none; earlier answers have none.
QWEN3 = (
    "{% set ns = namespace(last=-1) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}{% set content = m.content %}{% set thought = '' %}"
    "{% if m.role == 'assistant' and '</think>' in content %}"
    "{% set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' and loop.index0 > ns.last %}"
    "{{ '<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}{% else %}{{ content }}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
PLAIN = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
    {"role": "assistant", "content": "four"},
]
THOUGHTFUL = [
    PLAIN[0],
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\ntwo"},
    PLAIN[2],
    {"role": "assistant", "content": "<think>\nwell\n</think>\n\nfour"},
]


def opened(folder: Path, template: str) -> Tokenizer:
    return Tokenizer.open(byte_level(folder, chat_template=template))


def learned(tokenizer: Tokenizer, messages: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Each answer with the text it stands behind."""
    pairs = []
    for spans in prompt_format.encode_chat(tokenizer, messages):
        for number, span in enumerate(spans):
            if span.supervised:
                before = [one for earlier in spans[:number] for one in earlier.ids]
                pairs.append((text(tokenizer, before), text(tokenizer, span.ids)))
    return pairs


def text(tokenizer: Tokenizer, ids: list[int]) -> str:
    return "".join(
        (tokenizer.token(one) or "") if one in tokenizer.special_ids else tokenizer.decode([one]) for one in ids
    )


@pytest.mark.parametrize("messages", [PLAIN, PLAIN[:2], THOUGHTFUL, THOUGHTFUL[:2]], ids=["2", "1", "2 thinking", "1"])
@pytest.mark.parametrize("template", [R1, QWEN3], ids=["r1", "qwen3"])
def test_every_answer_is_trained_behind_the_prompt_it_is_served_behind(
    template: str, messages: list[dict[str, str]], tmp_path: Path
) -> None:
    tokenizer = opened(tmp_path, template)
    served = [encode_chat_prompt(tokenizer, messages[:turn]) for turn in range(1, len(messages), 2)]
    assert [before for before, _ in learned(tokenizer, messages)] == [text(tokenizer, ids) for ids in served]


def test_behind_a_thought_that_the_prompt_opens_the_answers_own_words_are_learned(tmp_path: Path) -> None:
    assert learned(opened(tmp_path, R1), PLAIN) == [
        ("<s><|User|>one<|Assistant|><think>\n", "two</s>"),
        ("<s><|User|>one<|Assistant|>two</s><|User|>three<|Assistant|><think>\n", "four</s>"),
    ]


def test_a_thought_that_the_prompt_opens_goes_on_with_that_of_the_record(tmp_path: Path) -> None:
    assert learned(opened(tmp_path, R1), THOUGHTFUL) == [
        ("<s><|User|>one<|Assistant|><think>\n", "hm\n</think>\n\ntwo</s>"),
        ("<s><|User|>one<|Assistant|>\n\ntwo</s><|User|>three<|Assistant|><think>\n", "well\n</think>\n\nfour</s>"),
    ]


def test_a_thought_that_the_template_writes_into_the_last_answer_is_learned_in_each(tmp_path: Path) -> None:
    answers = [answer for _, answer in learned(opened(tmp_path / "a", QWEN3), PLAIN)]
    assert answers == ["<think>\n\n</think>\n\ntwo<|im_end|>", "<think>\n\n</think>\n\nfour<|im_end|>"]
    answers = [answer for _, answer in learned(opened(tmp_path / "b", QWEN3), THOUGHTFUL)]
    assert answers == ["<think>\nhm\n</think>\n\ntwo<|im_end|>", "<think>\nwell\n</think>\n\nfour<|im_end|>"]


def test_an_answer_that_is_spoken_on_does_not_open_its_thought_twice(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, R1)
    begun = [PLAIN[0], {"role": "assistant", "content": "<think>\nhm"}]
    assert text(tokenizer, encode_chat_prompt(tokenizer, begun)) == "<s><|User|>one<|Assistant|><think>\nhm"


def test_a_pair_of_prompt_and_completion_is_trained_in_the_chat_form_too(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, R1)
    pair = prompt_format.encode_pair(tokenizer, "one", "two", prompt_format.PromptFormat.CHAT)
    assert text(tokenizer, pair.prompt_ids) == "<s><|User|>one<|Assistant|><think>\n"
    assert text(tokenizer, pair.completion_ids) == "two</s>"
