"""A GGUF file of ours answers in llama.cpp as the network does here, in every family that is written.

llama.cpp stands in an environment of its own, which `make clients` makes. It keeps keys and values in 16 bits.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from outcrop.network.gguf.exporting import GgufForm, write_gguf
from outcrop.tokens.prompt_format import encode_chat_prompt
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.tiny import ARCHITECTURES, CONTEXT_LENGTH, SIZES, write_tokenizer

CLIENTS = Path(__file__).parent.parent.parent / "build" / "clients" / "llama-cpp"
PYTHON = CLIENTS / "bin" / "python"
PROGRAM = Path(__file__).parent / "programs" / "llama_cpp.py"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason=f"{PYTHON} is not there: `make clients` makes it")
TOKENS = 1
GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 16}
FAMILIES = {
    "llama": ARCHITECTURES["llama"],
    "llama3": ARCHITECTURES["llama3"],
    "mistral": lambda: transformers.MistralConfig(**SIZES, sliding_window=None),
    "qwen2": ARCHITECTURES["qwen2"],
    "qwen3": ARCHITECTURES["qwen3"],
    "gemma": lambda: transformers.GemmaConfig(**SIZES, head_dim=16, hidden_activation="gelu_pytorch_tanh"),
    "gemma2": lambda: transformers.Gemma2Config(**SIZES, **GEMMA, sliding_window=16),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SIZES | {"num_hidden_layers": 7}, **GEMMA, sliding_window=16),
    "phi3": ARCHITECTURES["phi3"],
    "smollm3": lambda: transformers.SmolLM3Config(**SIZES | {"num_hidden_layers": 5}),
    "olmo2": ARCHITECTURES["olmo2"],
}
PROMPT = [0, 17, 45, 99, 200, 310, 7, *range(40, 75)]
MESSAGES = [{"role": "user", "content": "What is the capital of the country?"}]


def llama_cpp(file: Path, asked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What llama.cpp answers to each request."""
    lines = "".join(json.dumps({"tokens": TOKENS, **each}) + "\n" for each in asked)
    command = [str(PYTHON), str(PROGRAM), str(file), str(CONTEXT_LENGTH)]
    ended = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


def network(folder: Path, family: str) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = transformers.AutoModelForCausalLM.from_config(FAMILIES[family]()).eval()
    made.save_pretrained(folder)
    write_tokenizer(folder, chat=True)
    return made


def check(network: Any, prompt: Sequence[int], answer: dict[str, Any], *, within: float) -> int:
    """The likeliest tokens behind a prompt are as likely there as here; how many of them were told.

    llama.cpp tells nothing of a token that is part of a character.
    """
    assert answer["num_input_tokens"] == len(prompt)
    with torch.inference_mode():
        logprobs_V = network(torch.tensor([list(prompt)])).logits[0, -1].log_softmax(-1)
    told = answer["tokens"][:1]
    for each in told:
        for token, logprob in each["top"].items():
            assert abs(float(logprobs_V[int(token)]) - logprob) < within, (len(prompt), token)
        best = logprobs_V.topk(2)
        if float(best.values[0] - best.values[1]) > 2 * within:
            assert each["id"] == int(best.indices[0])
    return len(told)


def prefixes(prompt: Sequence[int]) -> list[list[int]]:
    return [list(prompt[:length]) for length in range(3, len(prompt) + 1, 3)]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_of_ours_answers_there_as_the_network_does_here(family: str, tmp_path: Path) -> None:
    made = network(tmp_path / "network", family)
    write_gguf(tmp_path / "network", tmp_path / "n.gguf", GgufForm.F32, name="Tiny")
    answers = llama_cpp(tmp_path / "n.gguf", [{"prompt": prompt} for prompt in prefixes(PROMPT)])
    told = [check(made, *each, within=0.02) for each in zip(prefixes(PROMPT), answers, strict=True)]
    assert sum(told) > len(told) / 4


def test_text_and_conversations_are_read_there_as_here(tmp_path: Path) -> None:
    made = network(tmp_path / "network", "llama")
    write_gguf(tmp_path / "network", tmp_path / "n.gguf", GgufForm.F32, name="Tiny")
    tokenizer = Tokenizer.open(tmp_path / "network")
    texts = ["The stone at the river", "two  spaces\nand 123 é 古池"]
    answers = llama_cpp(tmp_path / "n.gguf", [*({"prompt": text} for text in texts), {"messages": MESSAGES}])
    for text, answer in zip(texts, answers, strict=False):
        check(made, tokenizer.encode(text, begin=True), answer, within=0.02)
    check(made, encode_chat_prompt(tokenizer, MESSAGES), answers[-1], within=0.02)


@pytest.mark.parametrize(("form", "within"), [(GgufForm.F16, 0.05), (GgufForm.Q8_0, 0.3)])
def test_a_narrower_file_answers_within_its_rounding(form: GgufForm, within: float, tmp_path: Path) -> None:
    made = network(tmp_path / "network", "qwen2")
    write_gguf(tmp_path / "network", tmp_path / "n.gguf", form, name="Tiny")
    answers = llama_cpp(tmp_path / "n.gguf", [{"prompt": prompt} for prompt in prefixes(PROMPT)])
    assert sum(check(made, *each, within=within) for each in zip(prefixes(PROMPT), answers, strict=True))
