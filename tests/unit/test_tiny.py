"""The tiny models that other tests are tried on."""

from pathlib import Path

from outcrop.network import load
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.tiny import CONTEXT_LENGTH, tiny_model


def test_a_tiny_model_is_a_base_model_with_a_tokenizer_that_fits(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    tokenizer = Tokenizer.open(folder)
    ids = tokenizer.encode("古池や, the stone", begin=True)
    assert tokenizer.decode(ids) == "古池や, the stone"
    assert (ids[0], tokenizer.bos_id, tokenizer.eos_id) == (0, 0, 1)
    assert max(ids) < load.load_base(folder).get_input_embeddings().num_embeddings  # type: ignore[operator]
    assert load.context_length(folder) == CONTEXT_LENGTH


def test_a_tiny_model_with_a_chat_template_writes_turns(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(tiny_model(tmp_path / "tiny", chat=True))
    assert tokenizer.chat_template is not None
    ids = tokenizer.render_chat([{"role": "user", "content": "hello"}], add_generation_prompt=True)
    assert [tokenizer.token(i) for i in ids if i in tokenizer.special_ids] == ["<s>", "<|user|>", "<|assistant|>"]


def test_equal_arguments_give_equal_files(tmp_path: Path) -> None:
    first, second = tiny_model(tmp_path / "a", seed=3), tiny_model(tmp_path / "b", seed=3)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
