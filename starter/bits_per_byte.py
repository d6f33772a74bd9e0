"""How well a network predicts held-out text, in bits per byte and per language, beside three simple predictors.

Whole documents are read in windows of the context length; the first token of the text is predicted from `<|begin|>`,
a later window starts from the last token of the one before. The end token is not counted.

    python -m starter.bits_per_byte --model <folder> --work build/starter
"""

import argparse
import lzma
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import LlamaForCausalLM

from starter import corpus

LANGUAGES = ("en", "ja", "abc")
WINDOW = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("src/outcrop/catalog/bundled/starter-v1"))
    parser.add_argument("--work", type=Path, default=Path("build/starter"))
    arguments = parser.parse_args()
    network = LlamaForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    train, held_out = (corpus.read(arguments.work / f"{name}.jsonl") for name in ("train", "heldout"))
    print("| language | bytes | network | unigram bytes | 5-byte context | xz with the training text |")
    for language in LANGUAGES:
        seen, texts = plain_texts(train, language), plain_texts(held_out, language)
        figures = [
            network_bits(network, tokenizer, texts),
            unigram_bits(seen, texts),
            context_bits(seen, texts),
            xz_bits(seen, texts),
        ]
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        print(f"| {language} | {sum(map(len, map(str.encode, texts))):,} | {cells} |", flush=True)
    for source in sorted({document.source for document in held_out}):
        for language in LANGUAGES:
            part = [document for document in held_out if document.source == source]
            if texts := plain_texts(part, language):
                print(f"| {source} ({language}) | {network_bits(network, tokenizer, texts):.3f} |", flush=True)


def plain_texts(documents: Sequence[corpus.Document], language: str) -> list[str]:
    return [document.text for document in documents if document.language == language and document.form == "plain"]


@torch.inference_mode()
def network_bits(network: LlamaForCausalLM, tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    nats, size_bytes = 0.0, 0
    for text in texts:
        ids = tokenizer.encode(text).ids
        for start in range(0, len(ids) - 1, WINDOW):
            window = torch.tensor([ids[start : start + WINDOW + 1]])
            logits_BTV = network(window[:, :-1]).logits
            nats += functional.cross_entropy(logits_BTV[0].float(), window[0, 1:], reduction="sum").item()
        size_bytes += len(text.encode())
    return nats / math.log(2) / size_bytes


def unigram_bits(seen: Sequence[str], texts: Sequence[str]) -> float:
    """Byte frequencies of the training text, every byte counted once more than seen."""
    counts = Counter(b"".join(text.encode() for text in seen))
    total = sum(counts.values()) + 256
    data = b"".join(text.encode() for text in texts)
    return sum(-math.log2((counts[byte] + 1) / total) for byte in data) / len(data)


def context_bits(seen: Sequence[str], texts: Sequence[str], order: int = 5) -> float:
    """Bytes given the five before them, backing off by Witten-Bell interpolation down to uniform."""
    counts: Counter[bytes] = Counter()
    kinds: Counter[bytes] = Counter()
    totals: Counter[bytes] = Counter()
    for text in seen:
        data = text.encode()
        for end in range(1, len(data) + 1):
            for start in range(max(0, end - 1 - order), end):
                gram = data[start:end]
                kinds[gram[:-1]] += gram not in counts
                counts[gram] += 1
                totals[gram[:-1]] += 1
    bits, size_bytes = 0.0, 0
    for text in texts:
        data = text.encode()
        size_bytes += len(data)
        for end in range(1, len(data) + 1):
            probability = 1 / 256
            for start in range(end - 1, max(0, end - 1 - order) - 1, -1):
                gram = data[start:end]
                if total := totals[gram[:-1]]:
                    new = kinds[gram[:-1]]
                    probability = (counts[gram] + new * probability) / (total + new)
            bits -= math.log2(probability)
    return bits / size_bytes


def xz_bits(seen: Sequence[str], texts: Sequence[str]) -> float:
    """The bits per byte that the held-out text adds to the compressed training text."""
    before, data = ("\n".join(part).encode() for part in (seen, texts))
    return 8 * (len(lzma.compress(before + data, preset=9)) - len(lzma.compress(before, preset=9))) / len(data)


if __name__ == "__main__":
    main()
