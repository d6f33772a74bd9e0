"""What a folder's files say of an encoder, and the sentence for what is not understood in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.network import encoder_facts
from outcrop.network.encoder_facts import EncoderFacts, Pooling
from outcrop.network.model_task import ModelTask

BERT = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384, "max_position_embeddings": 512}
TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}


def write(folder: Path, **files: Any) -> Path:
    """Files by their names without the ending; `__` stands for a slash."""
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def steps(*kinds: str) -> list[dict[str, str]]:
    behind = [
        {"path": f"{n}_{kind}", "type": f"sentence_transformers.models.{kind}"} for n, kind in enumerate(kinds, 1)
    ]
    return [TRANSFORMER, *behind]


def minilm(folder: Path, **more: Any) -> Path:
    files: dict[str, Any] = {
        "config": BERT,
        "modules": steps("Pooling", "Normalize"),
        "1_Pooling__config": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
        "sentence_bert_config": {"max_seq_length": 256, "do_lower_case": False},
        "tokenizer_config": {"model_max_length": 512},
    }
    return write(folder, **files | more)


@pytest.mark.parametrize(
    ("config", "task"),
    [
        (BERT, ModelTask.EMBEDDING),
        ({"model_type": "modernbert", "architectures": ["ModernBertForMaskedLM"]}, ModelTask.EMBEDDING),
        ({"model_type": "electra", "architectures": ["ElectraForPreTraining"]}, ModelTask.EMBEDDING),
        ({"model_type": "t5", "architectures": ["T5EncoderModel"]}, ModelTask.EMBEDDING),
        ({"model_type": "roberta"}, ModelTask.EMBEDDING),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, ModelTask.TEXT),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, ModelTask.TEXT),
        ({"model_type": "llama"}, ModelTask.TEXT),
        (
            {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "id2label": {"0": "a"}},
            ModelTask.RERANKING,
        ),
    ],
)
def test_the_task_is_told_by_the_configuration(config: dict[str, Any], task: ModelTask, tmp_path: Path) -> None:
    assert encoder_facts.task_of(write(tmp_path, config=config)) is task


def test_a_text_model_with_the_files_of_sentence_transformers_makes_vectors(tmp_path: Path) -> None:
    config = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": 8}
    assert encoder_facts.task_of(write(tmp_path, config=config, modules=[TRANSFORMER])) is ModelTask.EMBEDDING


def test_a_cross_encoder_is_told_by_who_saved_it(tmp_path: Path) -> None:
    described = {"config": {**BERT, "num_labels": 1}, "config_sentence_transformers": {"model_type": "CrossEncoder"}}
    assert encoder_facts.task_of(write(tmp_path, **described)) is ModelTask.RERANKING


def test_the_files_of_sentence_transformers_say_how_a_vector_is_made(tmp_path: Path) -> None:
    assert encoder_facts.read(minilm(tmp_path)) == EncoderFacts(
        task=ModelTask.EMBEDDING,
        max_length=256,
        width=384,
        pooling=(Pooling.MEAN,),
        normalizes=True,
        is_described=True,
    )


def test_prompts_layers_and_several_ways_of_pooling_are_read(tmp_path: Path) -> None:
    folder = minilm(
        tmp_path,
        **{
            "modules": steps("Pooling", "Dense"),
            "1_Pooling__config": {"pooling_mode": ["cls", "lasttoken"], "include_prompt": False},
            "2_Dense__config": {"out_features": 64, "activation_function": "torch.nn.modules.linear.Identity"},
            "config_sentence_transformers": {
                "prompts": {"query": "query: ", "document": ""},
                "default_prompt_name": "query",
            },
        },
    )
    (folder / "2_Dense" / "model.safetensors").touch()
    found = encoder_facts.read(folder)
    assert (found.pooling, found.pools_prompt) == ((Pooling.CLS, Pooling.LAST_TOKEN), False)
    assert [(one.width, one.activation) for one in found.dense] == [(64, "Identity")]
    assert (found.width, found.normalizes) == (64, False)
    assert (found.prompts, found.default_prompt) == ({"query": "query: "}, "query")


def test_without_such_files_it_is_the_mean(tmp_path: Path) -> None:
    found = encoder_facts.read(write(tmp_path, config=BERT))
    assert (found.pooling, found.normalizes, found.is_described) == ((Pooling.MEAN,), False, False)
    assert (found.width, found.max_length) == (384, 512)


@pytest.mark.parametrize(
    ("files", "length"),
    [
        ({"sentence_bert_config": {"max_seq_length": 128}}, 128),
        ({"sentence_bert_config": {"max_seq_length": None}}, 512),
        ({"sentence_bert_config": {"max_seq_length": 4096}}, 512),
        ({"sentence_bert_config": {}, "tokenizer_config": {"model_max_length": 64}}, 64),
        ({"sentence_bert_config": {}, "tokenizer_config": {"model_max_length": 10**30}}, 512),
        (
            {
                "sentence_bert_config": {},
                "config": {**BERT, "model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1},
            },
            512,
        ),
    ],
)
def test_the_most_tokens_are_those_of_the_files_and_never_more_than_there_are_positions(
    files: dict[str, Any], length: int, tmp_path: Path
) -> None:
    assert encoder_facts.read(minilm(tmp_path, **files)).max_length == length


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"modules": steps("Pooling", "LSTM")}, "modules.json: LSTM is a step that is not built in Outcrop."),
        ({"modules": [TRANSFORMER]}, "modules.json: no Pooling, so there is not one vector for a text."),
        ({"modules": {"a": 1}}, "modules.json: expected a list of steps, each with type and path."),
        ({"modules": [{"path": "0_Transformer", "type": "x.Transformer"}]}, "modules.json: the first step is not a Transformer in the folder itself."),
        ({"modules": [TRANSFORMER, {"path": "../elsewhere", "type": "x.Pooling"}]}, "modules.json: a step lies outside of the folder."),
        ({"modules": steps("Pooling", "Normalize", "Dense"), "3_Dense__config": {"out_features": 3}}, "3_Dense: no model.safetensors (its weights)."),
        ({"modules": steps("Pooling", "Dense")}, "2_Dense/config.json: missing; modules.json names this step."),
        ({"modules": [TRANSFORMER, {"path": "9_Pooling", "type": "x.Pooling"}]}, "9_Pooling/config.json: missing; modules.json names this step."),
        ({"1_Pooling__config": {"pooling_mode": "median"}}, "1_Pooling/config.json: pooling_mode: 'median' is not built in Outcrop."),
        ({"config_sentence_transformers": {"model_type": "SparseEncoder"}}, "config_sentence_transformers.json: a SparseEncoder makes no one vector of a text."),
        ({"config_sentence_transformers": {"prompts": ["query"]}}, "config_sentence_transformers.json: prompts: expected names and texts."),
        ({"config": {**BERT, "architectures": ["BertForSequenceClassification"]}}, "config.json: a classifier with 2 labels."),
        ({"config": {"model_type": "t5", "architectures": ["T5EncoderModel"], "d_model": 8}, "sentence_bert_config": {}, "tokenizer_config": {}}, ": nothing says how many tokens it reads."),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named(files: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    folder = minilm(tmp_path, **files)
    with pytest.raises(Invalid) as refused:
        encoder_facts.read(folder)
    assert sentence in str(refused.value)
