"""A tokenizer learned from texts: any text comes back, equal texts give equal files, and a base's end is its end."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from outcrop.tokens import new_tokenizer
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import BUNDLED, byte_level

TUNES = [f"X:{n}\nK:G\n" + "|".join("GABc dedB"[(n + bar) % 5 :] for bar in range(4)) for n in range(40)]


@pytest.fixture(scope="module")
def of_tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    new_tokenizer.train(iter(TUNES), size=300, base=BUNDLED, folder=folder)
    return folder


@pytest.fixture(scope="module")
def opened(of_tunes: Path) -> Tokenizer:
    return Tokenizer.open(of_tunes)


@given(text=st.text().filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)))
def test_any_text_comes_back_whatever_was_learned(opened: Tokenizer, text: str) -> None:
    spelled = any(token in text for token in map(opened.token, opened.special_ids) if token)
    assert spelled or opened.decode(opened.encode(text, begin=True)) == text


def test_texts_of_a_small_alphabet_become_shorter(opened: Tokenizer) -> None:
    num_tokens = sum(len(opened.encode(tune, begin=False)) for tune in TUNES)
    assert num_tokens < 0.7 * sum(map(len, TUNES))


def test_special_tokens_and_template_are_the_base_s(of_tunes: Path) -> None:
    tokenizer, base = Tokenizer.open(of_tunes), Tokenizer.open(BUNDLED)
    assert [tokenizer.token(one) for one in tokenizer.eos_ids] == [base.token(one) for one in base.eos_ids]
    assert (tokenizer.begins_with_bos, tokenizer.special_tokens) == (base.begins_with_bos, base.special_tokens)
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert tokenizer.chat_text(turns, add_generation_prompt=True) == base.chat_text(turns, add_generation_prompt=True)
    assert new_tokenizer.ids_of(of_tunes) == {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def test_transformers_gives_the_same_ids(of_tunes: Path) -> None:
    theirs, ours = transformers.AutoTokenizer.from_pretrained(of_tunes), Tokenizer.open(of_tunes)
    for text in [*TUNES[:5], "日本語 é", ""]:
        assert theirs(text)["input_ids"] == ours.encode(text, begin=True)


def test_equal_texts_give_equal_files_in_another_process(of_tunes: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from outcrop.tokens import new_tokenizer; import json;"
        "new_tokenizer.train(iter(json.loads(sys.argv[1])), size=300, base=Path(sys.argv[2]), folder=Path(sys.argv[3]))"
    )
    arguments = [json.dumps(TUNES), str(BUNDLED), str(tmp_path)]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for folder in (of_tunes, tmp_path)
    ]
    assert digests[0] == digests[1]


def test_texts_that_hold_no_more_give_fewer_tokens(tmp_path: Path) -> None:
    learned = new_tokenizer.train(iter(["ab ab ab"]), size=1000, base=BUNDLED, folder=tmp_path)
    assert learned.size == Tokenizer.open(tmp_path).vocab_size == new_tokenizer.least_size(BUNDLED) + 2  # "ab", " ab"


def test_no_texts_leave_the_bytes(tmp_path: Path) -> None:
    assert new_tokenizer.train(iter([]), size=1000, base=BUNDLED, folder=tmp_path).size == 256 + 6


def test_a_crowd_of_reserved_tokens_is_left_behind(tmp_path: Path) -> None:
    template = "{{ '<|reserved_7|>' }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
    base = byte_level(tmp_path / "base", bos_token="<s>", eos_token="</s>", chat_template=template)
    spec = json.loads((base / "tokenizer.json").read_text())
    last = max(token["id"] for token in spec["added_tokens"])
    like = spec["added_tokens"][0]
    spec["added_tokens"] += [like | {"id": last + n, "content": f"<|reserved_{n}|>"} for n in range(1, 101)]
    (base / "tokenizer.json").write_text(json.dumps(spec))
    assert new_tokenizer.special_tokens(base, Tokenizer.open(base)) == ("<s>", "</s>", "<pad>", "<|reserved_7|>")


def test_what_reading_the_texts_raises_goes_on_as_it_is(tmp_path: Path) -> None:
    class AskedToStop(BaseException):
        pass

    def texts() -> Iterator[str]:
        yield "a b"
        raise AskedToStop

    with pytest.raises(AskedToStop):
        new_tokenizer.train(texts(), size=300, base=BUNDLED, folder=tmp_path)
