"""A network written as GGUF and read back is the network that it was, in every family that is converted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop.errors import Invalid
from outcrop.network.gguf.exporting import GgufForm, write_gguf
from outcrop.network.gguf.families import FAMILIES
from outcrop.network.gguf.header import read_header
from outcrop.network.gguf.importing import convert
from outcrop.network.gguf.tensor_values import stored_weights
from outcrop.tokens.tokenizer import Tokenizer
from tests.support import small_tokenizers
from tests.support.gguf_files import ROPE, config_of, small_network, with_weights

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
STRETCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "llama3": ("llama", {"rope_parameters": LLAMA3}),
    "linear": ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}}),
    "yarn": (
        "qwen2",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e6,
                "factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "longrope": (
        "phi3",
        {
            "original_max_position_embeddings": 64,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "long_factor": [2.0 + n for n in range(8)],
                "short_factor": [1.0 + n / 8 for n in range(8)],
                "factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
    ),
}


def there_and_back(folder: Path, form: GgufForm = GgufForm.F32) -> tuple[Path, Path]:
    """The directory, and what becomes of it by way of a GGUF file."""
    file = folder.with_suffix(".gguf")
    write_gguf(folder, file, form, name="Small")
    back = folder.with_name(f"{folder.name}-back")
    convert(file, back)
    return folder, back


def config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def weights(folder: Path) -> dict[str, Any]:
    return {name: weight.whole().reshape(weight.shape) for name, weight in stored_weights(folder).items()}


@pytest.mark.parametrize("model_type", [family.model_type for family in FAMILIES])
def test_every_family_comes_back_with_its_weights_and_its_configuration(model_type: str, tmp_path: Path) -> None:
    folder, back = there_and_back(small_network(tmp_path / "network", model_type))
    ours, theirs = weights(folder), weights(back)
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        # 1 is added to some norms and taken away again: one rounding
        np.testing.assert_allclose(theirs[name], weight, atol=1e-7 if name.endswith("norm.weight") else 0)
    told = config(back)
    assert {name: told.get(name) for name in config(folder)} == config(folder)


@pytest.mark.parametrize("kind", STRETCHED)
def test_stretched_rotations_come_back_as_they_were(kind: str, tmp_path: Path) -> None:
    model_type, more = STRETCHED[kind]
    folder, back = there_and_back(small_network(tmp_path / "network", model_type, **more))
    assert config(back)["rope_parameters"] == config(folder)["rope_parameters"]
    assert stored_weights(back).keys() == stored_weights(folder).keys()


def test_a_mistral_network_comes_back_as_the_llama_network_that_it_is(tmp_path: Path) -> None:
    folder = small_network(tmp_path / "network", "llama")
    told = config(folder) | {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": None}
    (folder / "config.json").write_text(json.dumps(told))
    _, back = there_and_back(folder)
    assert config(back)["model_type"] == "llama"
    np.testing.assert_array_equal(
        weights(back)["model.layers.1.self_attn.q_proj.weight"],
        weights(folder)["model.layers.1.self_attn.q_proj.weight"],
    )


@pytest.mark.parametrize(("form", "within"), [(GgufForm.F16, 1e-3), (GgufForm.Q8_0, 5e-3)])
def test_a_narrower_form_rounds_and_says_so(form: GgufForm, within: float, tmp_path: Path) -> None:
    folder = small_network(tmp_path / "network")
    write_gguf(folder, tmp_path / "n.gguf", form, name="Small")
    conversion = convert(tmp_path / "n.gguf", tmp_path / "back")
    ours, theirs = weights(folder), weights(tmp_path / "back")
    name = "model.layers.0.mlp.down_proj.weight"
    assert 0 < np.abs(ours[name] - theirs[name]).max() < within
    np.testing.assert_array_equal(ours["model.norm.weight"], theirs["model.norm.weight"])
    if form is GgufForm.F16:
        assert conversion.loss == "Converted from n.gguf: nothing was lost, its weights are F16 and F32."
    else:
        assert "had been rounded to 8.5 bits before (Q8_0)" in conversion.loss
        assert json.loads((tmp_path / "back" / "gguf.json").read_text())["loss"] == conversion.loss


def test_bf16_weights_stay_what_they_are_in_32_bits(tmp_path: Path) -> None:
    folder, back = there_and_back(small_network(tmp_path / "network", dtype="BF16"))
    for name, weight in weights(folder).items():
        np.testing.assert_array_equal(weights(back)[name], weight)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_tokenizer_of_sentencepiece_reads_alike_after_both_ways(legacy: bool, tmp_path: Path) -> None:
    folder = small_tokenizers.sentencepiece_like(tmp_path / "network", legacy=legacy)
    spec = json.loads((folder / "tokenizer.json").read_text())
    num_tokens = 1 + max([*spec["model"]["vocab"].values(), *(added["id"] for added in spec["added_tokens"])])
    with_weights(folder, config_of("llama", num_tokens))
    _, back = there_and_back(folder)
    before, after = Tokenizer.open(folder), Tokenizer.open(back)
    # llama.cpp puts a space before every text, as SentencePiece does; newer files of transformers, not before another.
    spaced = ("  two spaces",) if legacy else ()
    for text in ("the cat", "a\nb", "thaw a tent", "日本", "", *spaced):
        assert after.encode(text, begin=True) == before.encode(text, begin=True), text
        assert after.decode(after.encode(text, begin=False)) == text


def test_a_byte_level_tokenizer_reads_alike_after_both_ways(tmp_path: Path) -> None:
    folder, back = there_and_back(small_network(tmp_path / "network"))
    before, after = Tokenizer.open(folder), Tokenizer.open(back)
    for text in ("the cat and the hen", "  x\n\n y", "12 345", "日本 é", "<|im_start|>user", ""):
        assert after.encode(text, begin=True) == before.encode(text, begin=True), text
    assert after.eos_ids == before.eos_ids
    assert after.chat_template is not None
    turns = [{"role": "user", "content": "hi"}]
    assert after.render_chat(turns, add_generation_prompt=True) == before.render_chat(turns, add_generation_prompt=True)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"model_type": "mamba"}, "a network of the kind mamba is not converted here; known are gemma, gemma2"),
    (
        "llama",
        {"hidden_act": "gelu"},
        "config.json: hidden_act: gelu where it should be silu, and llama.cpp's llama has",
    ),
    (
        "llama",
        {"rope_parameters": ROPE | {"rope_type": "dynamic"}},
        "rope_parameters: rotations are stretched by dynamic",
    ),
    ("qwen2", {"use_sliding_window": True}, "config.json: use_sliding_window: some layers see a window"),
    ("gemma2", {"query_pre_attn_scalar": 99}, "config.json: query_pre_attn_scalar: 99 where it should be 16"),
    ("smollm3", {"no_rope_layers": [1, 1, 1, 1]}, "config.json: no_rope_layers: other layers than every fourth"),
    ("llama", {"vocab_size": 7}, "config.json: vocab_size: is not the number of rows of the embedding"),
]


@pytest.mark.parametrize(("model_type", "more", "problem"), REFUSED)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    model_type: str, more: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    folder = small_network(tmp_path / "network", model_type)
    (folder / "config.json").write_text(json.dumps(config(folder) | more))
    with pytest.raises(Invalid, match="Export it --as merged") as refused:
        write_gguf(folder, tmp_path / "n.gguf", GgufForm.F16, name="Small")
    assert problem in refused.value.message


def test_a_tokenizer_that_cuts_words_otherwise_is_refused(tmp_path: Path) -> None:
    folder = small_network(tmp_path / "network")
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(Invalid, match="a way to cut words for which no name of"):
        write_gguf(folder, tmp_path / "n.gguf", GgufForm.F16, name="Small")


CHANGED: list[tuple[dict[str, Any], str]] = [
    ({"general.architecture": "mamba"}, "a network of the architecture mamba is not converted here"),
    ({"llama.block_count": 99}, "blk.2.attn_q.weight: missing, of 99 layers"),
    ({"llama.embedding_length": 128}, "its shape is [64, 64], and by the metadata"),
    (
        {"llama.attention.layer_norm_rms_epsilon": float("nan")},
        "llama.attention.layer_norm_rms_epsilon: nan is no finite",
    ),
    ({"llama.rope.scaling.type": "odd"}, "llama.rope.scaling.type: odd is not converted here"),
    ({"tokenizer.ggml.pre": "unheard"}, "tokenizer.ggml.pre: unheard is a way to cut words that is not known here"),
    ({"tokenizer.ggml.model": "rwkv"}, "tokenizer.ggml.model: rwkv is not converted here; known are gpt2 and llama"),
    ({"split.count": 3}, "is one of several parts. Join them with llama-gguf-split --merge"),
    ({"general.type": "adapter"}, "general.type: adapter is no model, and only models are converted"),
]


@pytest.mark.parametrize(("changed", "problem"), CHANGED)
def test_a_file_that_does_not_convert_exactly_is_refused_and_leaves_nothing(
    changed: dict[str, Any], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "n.gguf"
    write_gguf(small_network(tmp_path / "network"), file, GgufForm.F32, name="Small")
    header = read_header(file)
    (tmp_path / "changed.gguf").write_bytes(rewritten(file, dict(header.metadata) | changed))
    with pytest.raises(Invalid) as refused:
        convert(tmp_path / "changed.gguf", tmp_path / "back")
    assert problem in refused.value.message
    assert {path.name for path in tmp_path.iterdir()} == {"network", "n.gguf", "changed.gguf"}


def test_numbers_of_a_form_that_cannot_be_told_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "n.gguf"
    write_gguf(small_network(tmp_path / "network"), file, GgufForm.F32, name="Small")
    data = file.read_bytes()
    name = b"blk.0.attn_norm.weight"
    at = data.index(name) + len(name) + 4 + 8  # behind its one dimension stands its form
    file.write_bytes(data[:at] + (26).to_bytes(4, "little") + data[at + 4 :])
    with pytest.raises(Invalid, match=r"blk\.0\.attn_norm\.weight: numbers of the form I32 are not converted here"):
        convert(file, tmp_path / "back")


def rewritten(file: Path, metadata: dict[str, Any]) -> bytes:
    """The file with other metadata."""
    import gguf

    header = read_header(file)
    made = file.with_name("changed.gguf")
    writer = gguf.GGUFWriter(made, metadata.pop("general.architecture"))
    for key, value in metadata.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_string(key, value)
    data = file.read_bytes()
    for tensor in header.tensors.values():
        raw = data[tensor.offset : tensor.offset + tensor.num_bytes]
        writer.add_tensor(tensor.name, np.frombuffer(raw, np.float32).reshape(tensor.shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    content = made.read_bytes()
    made.unlink()
    return content
