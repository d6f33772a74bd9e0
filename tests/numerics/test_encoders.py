"""Encoders of many families: the vectors are those of transformers and of sentence-transformers, alone and beside others."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from outcrop.catalog.catalog import Catalog
from outcrop.cli import fetching
from outcrop.cli.app import run
from outcrop.errors import Invalid
from outcrop.inference.client import EngineClient
from outcrop.inference.encoder_engine import EncoderEngine
from outcrop.inference.encoder_requests import EmbeddingRequest, EncoderRequest, RankingRequest
from outcrop.network import encoder_facts
from outcrop.network.encoder import Encoder
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import RunMode
from outcrop.probe import launch
from outcrop.probe.judge import judge
from outcrop.probe.launch import ProbeReport
from outcrop.settings import Settings
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer, TokenRow
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.encoder_server import BASE, encoder_server, text_server
from tests.support.encoder_values import unit, values
from tests.support.patience import PATIENCE_S
from tests.support.products import product
from tests.support.tiny import tiny_model
from tests.support.tiny_encoders import FAMILIES, WIDTH, tiny_encoder, tiny_reranker

TEXTS = (
    "the river",
    "who built the old bridge ?",
    "a",
    "the house of stone stands by the hill and the river flows through the city in the summer evening and morning",
    "a bridge crosses the water",
)
QUERY, DOCUMENTS = "who built the bridge ?", ("the old stone house", "a bridge crosses the river by the hill", "sea")
APART = 1e-5
DAILY = ("bert", "modernbert", "mpnet", "qwen3", "xlm-roberta")
"Families that differ most."


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def rows_of(folder: Path, texts: Sequence[str], prompt: str = "") -> list[TokenRow]:
    length = encoder_facts.read(folder).max_length
    return EncoderTokenizer.open(folder).rows(texts, prompt=prompt, max_length=length)


def pairs_of(folder: Path) -> list[TokenRow]:
    return EncoderTokenizer.open(folder).pairs(QUERY, DOCUMENTS, max_length=encoder_facts.read(folder).max_length)


def inputs_of(network: Any, tokenizer: Any, *texts: str) -> dict[str, Any]:
    return dict(tokenizer(*texts, return_tensors="pt"))


@torch.no_grad()
def reference(folder: Path, texts: Sequence[str]) -> list[torch.Tensor]:
    """The mean of the hidden states that transformers gives each text alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    return [network(**inputs_of(network, tokenizer, text)).last_hidden_state[0].mean(0) for text in texts]


@pytest.mark.parametrize("family", product(list(FAMILIES), daily=DAILY.__contains__))
def test_a_vector_is_that_of_transformers_alone_and_beside_any_others(family: str, tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / family, family)
    rows, expected = rows_of(folder, TEXTS), reference(folder, TEXTS)
    engine = EncoderEngine(folder)
    alone = [values(engine, [row])[0][0] for row in rows]
    for vector, wanted in zip(alone, expected, strict=True):
        assert np.abs(np.asarray(vector) - wanted.numpy()).max() < 1e-5 * max(1.0, float(wanted.abs().max()))
    for budget in (1, 40, 10_000):
        several = EncoderEngine(folder, tokens_per_batch=budget)
        together, again = values(several, rows, list(reversed(rows)))
        for vector, beside, other in zip(alone, together, reversed(again), strict=True):
            assert np.abs(unit(vector) - unit(beside)).max() < APART
            assert np.abs(unit(vector) - unit(other)).max() < APART
    # And the probe finds the same.
    found = judge(folder)
    assert (found.verdict.way, found.verdict.why, found.context) == (RunMode.PADDED, "", 64)


@pytest.mark.parametrize("family", product(["bert", "xlm-roberta", "modernbert", "deberta-v2"], daily="bert".__eq__))
def test_relevance_is_the_sigmoid_of_the_logit_of_transformers(family: str, tmp_path: Path) -> None:
    folder = tiny_reranker(tmp_path / family, family)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = [float(network(**inputs_of(network, tokenizer, QUERY, one)).logits[0, 0]) for one in DOCUMENTS]
    expected = [1 / (1 + math.exp(-logit)) for logit in logits]
    engine = EncoderEngine(folder)
    (together,) = values(engine, pairs_of(folder))
    assert [one[0] for one in together] == pytest.approx(expected, abs=1e-5)
    assert judge(folder).verdict.way is RunMode.PADDED


def test_a_network_that_mixes_in_its_padding_reads_one_text_at_a_time(tmp_path: Path) -> None:
    # FNet mixes all places of a row by Fourier transforms, and knows no attention mask.
    folder = tiny_encoder(tmp_path / "fnet", "bert")
    config = transformers.FNetConfig(
        vocab_size=FAMILIES["bert"]().vocab_size, hidden_size=WIDTH, num_hidden_layers=2, intermediate_size=48,
        max_position_embeddings=96, type_vocab_size=2, pad_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    verdict = judge(folder).verdict
    assert verdict.way is RunMode.ONE_RECORD_A_ROW
    assert verdict.why.startswith("a text beside others differs from the same alone by ")
    rows, expected = rows_of(folder, TEXTS), reference(folder, TEXTS)
    (found,) = values(EncoderEngine(folder, way=RunMode.ONE_RECORD_A_ROW), rows)
    for vector, wanted in zip(found, expected, strict=True):
        assert np.abs(np.asarray(vector) - wanted.numpy()).max() < 1e-5 * float(wanted.abs().max())


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def with_nan(weights: dict[str, Any]) -> None:
    weights["encoder.layer.1.output.dense.weight"][0, 0] = float("nan")


def without_a_layer(weights: dict[str, Any]) -> None:
    del weights["encoder.layer.1.output.dense.weight"]


def without_pooler(weights: dict[str, Any]) -> None:
    for name in [name for name in weights if name.startswith("pooler.")]:
        del weights[name]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda at: edited(tiny_encoder(at), with_nan),
            "what it answers with is not finite. Choose a model of another",
        ),
        (
            lambda at: edited(tiny_encoder(at), without_a_layer),
            "{folder}: its files lack 1 of the network's weights, encoder.layer.1.output.dense.weight among them. "
            "BertModel would begin with random numbers there.",
        ),
        (lambda at: tiny_reranker(at, labels=3), "{folder}/config.json: a classifier with 3 labels."),
        (lambda at: tiny_encoder(at, steps=("Pooling", "LSTM")), "{folder}/modules.json: LSTM is a step that is not"),
    ],
)
def test_an_encoder_that_cannot_be_served_is_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], Path], why: str
) -> None:
    folder = make(tmp_path / "model")
    verdict = judge(folder).verdict
    assert verdict.way is None
    assert verdict.why.startswith(why.replace("{folder}", str(folder)))


def test_a_head_that_no_pooling_reads_may_be_missing(tmp_path: Path) -> None:
    folder = edited(tiny_encoder(tmp_path / "model"), without_pooler)
    assert judge(folder).verdict.way is RunMode.PADDED


def test_weights_of_a_pickle_are_not_read(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(Invalid, match="transformers cannot load it as an encoder"):
        Encoder(folder)


def test_an_encoder_is_registered_with_what_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_this_process(folder: Path) -> ProbeReport:
        found = judge(folder)
        return ProbeReport(verdict=found.verdict, context=found.context)

    monkeypatch.setattr(launch, "probe", in_this_process)
    home = ("--home", str(tmp_path / "home"))
    folder = tiny_encoder(tmp_path / "vectors", pooling=("cls", "mean"))
    assert run(["register", str(folder), *home]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"local.vectors is in the catalogue: context 64 tokens, weights in {folder}.",
        "It makes vectors of 64 numbers, pooling: cls, mean.",
    ]
    bare = tiny_encoder(tmp_path / "bare", steps=())
    assert run(["register", str(bare), *home]) == 0
    assert capsys.readouterr().out.endswith("pooling: mean; no modules.json says so, and this is what is usual.\n")
    ranks = tiny_reranker(tmp_path / "ranks")
    assert run(["register", str(ranks), *home]) == 0
    assert capsys.readouterr().out.endswith("It ranks documents by their relevance to a query.\n")
    entries = {entry.id: entry for entry in Catalog(tmp_path / "home").ready()}
    assert (entries["local.vectors"].task, entries["local.vectors"].way) == (ModelTask.EMBEDDING, RunMode.PADDED)
    assert entries["local.ranks"].task is ModelTask.RERANKING
    assert run(["alias", "amazon.titan-embed-text-v2:0", "local.vectors", *home]) == 0
    assert capsys.readouterr().out == (
        "amazon.titan-embed-text-v2:0 is served by local.vectors: dialect titan-embed-v2.\n"
    )
    with pytest.raises(Invalid, match="step that is not built in Outcrop"):
        fetching.register_folder(
            Settings(home=tmp_path / "home"), tiny_encoder(tmp_path / "odd", steps=("CNN",)), model_id=None, name=None
        )


def serving(
    folder: Path, scenario: Callable[[EngineClient], Awaitable[None]], server: Any = encoder_server, **more: Any
) -> None:
    async def whole() -> None:
        async with server(folder, **more) as client:
            await scenario(client)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def embedding(rows: Sequence[TokenRow], model: str = BASE, *, hidden_states: bool = False) -> EmbeddingRequest:
    return EmbeddingRequest(model=model, texts=(), kind=None, rows=tuple(rows), hidden_states=hidden_states)


def test_requests_that_come_together_each_get_their_own(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")
    rows = rows_of(folder, TEXTS)
    (alone,) = values(EncoderEngine(folder), rows)

    async def scenario(client: EngineClient) -> None:
        assert await client.health()
        assert (await client.models(), await client.dtype()) == ([BASE], "float32")
        asked = [[n % 5, (n * 3) % 5] for n in range(12)]
        found = await asyncio.gather(*(client.embed(embedding([rows[n] for n in some])) for some in asked))
        for some, vectors in zip(asked, found, strict=True):
            for n, vector in zip(some, vectors, strict=True):
                assert np.abs(unit(vector) - unit(alone[n])).max() < APART

    serving(folder, scenario, tokens_per_batch=32)


def test_a_network_that_gives_no_numbers_is_said_to(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")
    engine = EncoderEngine(folder)
    with torch.no_grad():
        next(engine._encoder._network.parameters()).fill_(float("nan"))
    engine.submit(EncoderRequest(id="r1", rows=tuple(rows_of(folder, TEXTS[:1]))))
    (result,) = engine.step()
    assert (result.values, result.problem and result.problem.message) == (
        [],
        "This model gives values that are no numbers.",
    )


def test_a_request_whose_caller_leaves_holds_up_nobody(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")
    rows = rows_of(folder, TEXTS)

    async def scenario(client: EngineClient) -> None:
        leaving = asyncio.create_task(client.embed(embedding(rows * 200)))
        await asyncio.sleep(0)
        vectors = await client.embed(embedding(rows[:1]))
        leaving.cancel()
        assert len(vectors) == 1
        assert len(await client.embed(embedding(rows))) == len(rows)

    serving(folder, scenario, tokens_per_batch=8)


def test_the_door_of_an_encoder_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")

    async def scenario(client: EngineClient) -> None:
        for rows, model, sentence in (
            ([TokenRow([5] * 65, [0] * 65)], BASE, "input: 65 tokens exceed the 64 that this model reads."),
            (
                [TokenRow([5, 9999], [0, 0])],
                BASE,
                r"input: a token id is not in 0 to \d+\. Use this model's tokenizer\.",
            ),
            (
                [TokenRow([5], [0])],
                "arn:custom",
                "model: arn:custom is not here. An encoder has no adapters; name base.",
            ),
        ):
            with pytest.raises(Invalid, match=sentence):
                await client.embed(embedding(rows, model))
        with pytest.raises(Invalid, match="hidden_states: an encoder makes vectors of its own"):
            await client.embed(embedding([TokenRow([5], [0])], hidden_states=True))
        assert len(await client.embed(embedding([TokenRow([5], [0])]))) == 1

    serving(folder, scenario)


def test_a_reranker_tells_relevance_and_nothing_else(tmp_path: Path) -> None:
    folder = tiny_reranker(tmp_path / "model")
    rows = pairs_of(folder)
    (expected,) = values(EncoderEngine(folder), rows)

    async def scenario(client: EngineClient) -> None:
        asked = RankingRequest(model=BASE, query=QUERY, documents=DOCUMENTS, rows=tuple(rows))
        assert await client.rank(asked) == pytest.approx([one[0] for one in expected], abs=1e-6)
        with pytest.raises(Exception, match="this engine has no such path"):
            await client.embed(embedding(rows))

    serving(folder, scenario)


@pytest.mark.parametrize("way", [RunMode.PACKED, RunMode.ONE_RECORD_A_ROW])
def test_a_text_models_mean_hidden_states_are_those_of_transformers(way: RunMode, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    tokenizer = Tokenizer.open(folder)
    ids = [tokenizer.encode(text, begin=True) for text in (*TEXTS, "x" * 60)]
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        states = [network(torch.tensor([one]), output_hidden_states=True).hidden_states[-1][0] for one in ids]

    async def scenario(client: EngineClient) -> None:
        rows = [TokenRow(one, [0] * len(one)) for one in ids]
        vectors = await client.embed(embedding(rows * 3, hidden_states=True))
        for number, vector in enumerate(vectors):
            wanted = states[number % len(ids)].mean(0).numpy()
            assert np.abs(np.asarray(vector) - wanted).max() < 1e-5 * float(np.abs(wanted).max())
        with pytest.raises(Invalid, match="tokens exceed this model's context of 256 tokens"):
            await client.embed(embedding([TokenRow([5] * 257, [0] * 257)], hidden_states=True))
        with pytest.raises(Invalid, match="hidden_states: a text model makes no other vectors"):
            await client.embed(embedding(rows))

    serving(folder, scenario, text_server, way=way)
