"""Vectors are those of sentence-transformers: of every step that it knows, and of a real encoder, which finds passages."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from outcrop.inference.encoder_engine import EncoderEngine
from outcrop.invocation.embedding import embed
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import EncoderReader
from outcrop.network import encoder_facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import RunMode
from outcrop.probe.encoder_judge import judge
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer, TextTooLong
from tests.support.encoder_server import BASE, encoder_server
from tests.support.encoder_values import unit, values
from tests.support.minilm import minilm
from tests.support.patience import PATIENCE_S
from tests.support.tiny_encoders import WIDTH, tiny_encoder

PASSAGES = {
    "How do I reset my password?": "To choose a new password, open Settings, then Security, and press Forgotten.",
    "What is the capital of Japan?": "Tokyo has been the seat of the Japanese government since 1868.",
    "Which planet has the most moons?": "Saturn is circled by more known satellites than any other world.",
    "How long should pasta be boiled?": "Cook spaghetti in salted water for nine to eleven minutes, until al dente.",
    "Why did the job fail?": "The training stopped with an error because the bucket could not be written.",
}
WORDS = ("the river", "who built the old bridge ?", "a", "the house of stone stands by the hill and the river")
TEXTS = (*PASSAGES, *PASSAGES.values(), "", "  naïve café ☕ — 42%  ", "the same again " * 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return minilm(tmp_path_factory.mktemp("minilm"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def vectors(folder: Path, texts: Sequence[str], **more: Any) -> np.ndarray[Any, Any]:
    """The vectors that callers get, each of length 1."""
    told = encoder_facts.read(folder)
    reader = EncoderReader(tokenizer=EncoderTokenizer.open(folder), max_length=told.max_length)

    async def whole() -> np.ndarray[Any, Any]:
        async with encoder_server(folder) as client:
            target = EncoderTarget(
                model_id="m", base_id=BASE, client=client, task=ModelTask.EMBEDDING, dialect="any", reader=reader,
                width=told.width,
            )  # fmt: skip
            found = await embed(target, texts, dimensions=None, normalize=True, kind=None, **more)
            return np.array(found.vectors)

    return asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_vectors_are_those_of_sentence_transformers(folder: Path) -> None:
    library = pytest.importorskip("sentence_transformers", reason="install the extra `test`")
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS), normalize_embeddings=True)
    cosines = (vectors(folder, TEXTS) * expected).sum(1)
    assert cosines.min() >= 0.9999
    assert cosines.min() >= 1 - 1e-6  # what is measured; the line above is what is promised


def test_the_right_passage_is_the_nearest(folder: Path) -> None:
    found = vectors(folder, [*PASSAGES, *PASSAGES.values()])
    similarity = found[: len(PASSAGES)] @ found[len(PASSAGES) :].T
    assert similarity.argmax(1).tolist() == list(range(len(PASSAGES)))
    kept = found[:, :256] / np.linalg.norm(found[:, :256], axis=1, keepdims=True)
    assert (kept[: len(PASSAGES)] @ kept[len(PASSAGES) :].T).argmax(1).tolist() == list(range(len(PASSAGES)))


def test_it_is_served_as_its_files_say_and_refuses_what_it_was_not_made_for(folder: Path) -> None:
    verdict, length = judge(folder)
    assert (verdict.way, length) == (RunMode.PADDED, 256)
    told = encoder_facts.read(folder)
    assert (told.width, told.normalizes, told.pooling) == (384, True, (encoder_facts.Pooling.MEAN,))
    with pytest.raises(TextTooLong, match="and this model reads 256"):
        vectors(folder, ["word " * 300])


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        (("Pooling",), {"pooling": "cls"}),
        pytest.param(("Pooling",), {"pooling": "max"}, marks=pytest.mark.soak),
        pytest.param(("Pooling",), {"pooling": "mean_sqrt_len_tokens"}, marks=pytest.mark.soak),
        (("Pooling",), {"pooling": "weightedmean"}),
        (("Pooling",), {"pooling": "lasttoken", "family": "qwen3"}),
        (("Pooling", "Normalize"), {"pooling": ("cls", "mean", "lasttoken")}),
        (("Pooling", "Dense", "Normalize"), {"pooling": "mean"}),
        (("Pooling", "Dropout", "Dense", "Dense"), {"pooling": "mean", "dense_width": WIDTH}),
        (("Pooling",), {"include_prompt": False, "prompts": {"query": "query : "}}),
        pytest.param(
            ("Pooling",),
            {"include_prompt": False, "pooling": "weightedmean", "prompts": {"query": "query : "}},
            marks=pytest.mark.soak,
        ),
        pytest.param(
            ("Pooling",),
            {"include_prompt": False, "pooling": "cls", "prompts": {"query": "query : "}},
            marks=pytest.mark.soak,
        ),
        pytest.param(
            ("Pooling", "Normalize"),
            {"prompts": {"query": "query : "}, "family": "xlm-roberta"},
            marks=pytest.mark.soak,
        ),
        ((), {}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_every_step_is_taken_as_sentence_transformers_takes_it(
    steps: tuple[str, ...], more: dict[str, Any], tmp_path: Path
) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="install the extra `test`")
    folder = tiny_encoder(tmp_path / "model", more.pop("family", "bert"), steps=steps, **more)
    prompt = more.get("prompts", {}).get("query", "")
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    expected = theirs.encode(list(WORDS), prompt=prompt or None, batch_size=1)
    told = encoder_facts.read(folder)
    rows = EncoderTokenizer.open(folder).rows(WORDS, prompt=prompt, max_length=told.max_length)
    (found,) = values(EncoderEngine(folder), rows)
    assert len(found[0]) == told.width
    for vector, wanted in zip(found, expected, strict=True):
        ours = unit(vector) if told.normalizes else np.asarray(vector)
        assert np.abs(ours - wanted).max() < 1e-5 * max(1.0, float(np.abs(wanted).max()))
