"""What every contestant of `make bench-train` shares: shapes of networks, records, and how turns are taken.

Contestants run in environments of their own, so nothing here needs more than the standard library; only `write_model`
needs `transformers`.
"""

import json
import math
import os
import random
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

PROMPT_TOKENS, COMPLETION_TOKENS, SIGMA, LONGEST = 180, 60, 0.8, 1024
RANK, ALPHA = 16, 32
PAD, END = 0, 1


def _llama(hidden: int, inner: int, layers: int, heads: int, vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }


def _qwen2(hidden: int, inner: int, layers: int, heads: int, kv_heads: int, vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": "qwen2",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        "tie_word_embeddings": hidden < 1000,
    }


SHAPES = {
    "tiny": _llama(64, 128, 2, 4, 384) | {"initializer_range": 0.15},  # what is narrow learns little from less
    "small": _llama(384, 1024, 8, 6, 32_000),
    "qwen05": _qwen2(896, 4864, 24, 14, 2, 151_936),
    "qwen7": _qwen2(3584, 18_944, 28, 28, 4, 152_064),
}
"`small` has 26 million parameters; `qwen05` and `qwen7` have the shapes of Qwen2.5-0.5B and -7B."


class Record(NamedTuple):
    """Ids of prompt and completion together; the loss is over all but the first num_prompt."""

    ids: list[int]
    num_prompt: int


def completions(num: int, *, vocabulary: int, longest: int = LONGEST, seed: int = 0) -> list[Record]:
    """Random ids with lengths as instruction data has them: most are short, a few are long."""
    generator = random.Random(seed)
    share = longest / LONGEST

    def length(mean: float) -> int:
        return max(2, round(generator.lognormvariate(math.log(mean * share) - SIGMA**2 / 2, SIGMA)))

    made = []
    for _ in range(num):
        num_completion = min(length(COMPLETION_TOKENS), longest // 2)
        num_prompt = min(length(PROMPT_TOKENS), longest - num_completion)
        ids = [generator.randrange(2, vocabulary) for _ in range(num_prompt + num_completion)]
        made.append(Record(ids, num_prompt))
    return made


def texts(num: int, *, vocabulary: int, longest: int = LONGEST, seed: int = 0) -> list[Record]:
    """Full rows; all tokens but the first are learned."""
    generator = random.Random(seed)
    return [Record([generator.randrange(2, vocabulary) for _ in range(longest)], 1) for _ in range(num)]


def write_records(path: Path, records: Iterable[Record]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def read_records(path: Path) -> list[Record]:
    return [Record(*json.loads(line)) for line in path.read_text().splitlines()]


def write_model(folder: Path, shape: str, *, dtype: str = "float32") -> Path:
    """A Hugging Face directory with random weights, made at the first run, and a tokenizer with a word for each id."""
    if (folder / "tokenizer.json").is_file():
        return folder
    import torch
    import transformers
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    torch.manual_seed(0)
    config = dict(SHAPES[shape])
    made = transformers.AutoConfig.for_model(config.pop("model_type"), **config, pad_token_id=PAD, eos_token_id=END)
    network = transformers.AutoModelForCausalLM.from_config(made, dtype=getattr(torch, dtype))
    network.save_pretrained(folder)
    ends = {"<pad>": PAD, "<end>": END}
    taken = set(ends.values())
    others = {f"w{number}": number for number in range(SHAPES[shape]["vocab_size"]) if number not in taken}
    words = Tokenizer(WordLevel(ends | others, unk_token="<end>"))
    words.pre_tokenizer, words.decoder = Whitespace(), ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<end>").save_pretrained(
        folder
    )
    config_file = folder / "tokenizer_config.json"
    told = json.loads(config_file.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    config_file.write_text(json.dumps(told))  # by the name that older versions know, too, which some peers need
    return folder


class Turns:
    """A contestant's side: it says that it is ready, then takes one optimizer step for every line it reads."""

    def __init__(self) -> None:
        # Libraries print what they like; only answers may go where the driver listens.
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def answer(self, **told: Any) -> None:
        self._out.write(json.dumps(told) + "\n")

    def wait(self) -> None:
        """Until the next line; the process ends when there will be none."""
        if not sys.stdin.readline():
            os._exit(0)


class Watch:
    """Seconds since it was made, by the clock and of the processor, those of ended child processes too."""

    def __init__(self) -> None:
        self._started, self._cpu = time.perf_counter(), _cpu_seconds()

    def read(self) -> dict[str, float]:
        return {"seconds": time.perf_counter() - self._started, "cpu_seconds": _cpu_seconds() - self._cpu}


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def peak_bytes(device: str) -> int:
    """The most memory this process ever held: of the GPU where it trains there, else of the machine."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    # Not getrusage, whose peak counts what the process held that this one was forked from.
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]  # Linux always tells it
