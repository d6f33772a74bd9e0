"""The tokenizer of the starter base model: byte-level BPE, 6,144 ids, trained on the corpus.

Any UTF-8 text comes back byte for byte. Every digit and every hiragana is a token of its own, always, so that a model
that counts digits or morae sees what it counts; every katakana is in the vocabulary too. Latin words, katakana words
and kanji words never share a token. The result is a Hugging Face tokenizer folder with chat template.

    python -m starter.tokenizer --work build/starter --out <folder>
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from starter import corpus

VOCABULARY_SIZE = 6144
BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
SPECIAL_TOKENS = [PAD, BEGIN, END, "<|system|>", "<|user|>", "<|assistant|>"]
CONTEXT_LENGTH = 2048
HIRAGANA = [chr(point) for point in range(0x3041, 0x3094)]
KATAKANA = [chr(point) for point in range(0x30A1, 0x30FB)] + ["ー"]
KANA_COUNT = 10_000  # so often every kana is shown alone to the trainer; the commonest pairs of the corpus are rarer
SAMPLE_BYTES = {"en": 3_000_000, "ja": 3_000_000, "abc": 300_000}

# In order: English contractions; words of alphabetic scripts with their leading space; one hiragana; a katakana word;
# a kanji word; one digit; punctuation; line breaks; spaces.
WORD = (
    r"'(?:[sdmt]|ll|ve|re)"
    r"| ?[\p{L}&&[^\p{Han}\p{Hiragana}\p{Katakana}ー]]+"
    r"|\p{Hiragana}"
    r"|[\p{Katakana}ー]+"
    r"|\p{Han}+"
    r"|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+"
)
CHAT_TEMPLATE = (
    "{{ '<|begin|>' }}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/starter"))
    parser.add_argument("--out", type=Path, default=Path("src/outcrop/catalog/bundled/starter-v1"))
    arguments = parser.parse_args()
    documents = corpus.read(arguments.work / "train.jsonl")
    tokenizer = train(documents)
    save(tokenizer, arguments.out)
    held_out = corpus.read(arguments.work / "heldout.jsonl")
    for line in report(tokenizer, held_out):
        print(line)


def train(documents: list[corpus.Document]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_texts(documents), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, SPECIAL_TOKENS.index(BEGIN))]
    )
    return tokenizer


def training_texts(documents: list[corpus.Document]) -> Iterator[str]:
    """A sample with the languages in fixed shares, then every kana alone, often enough to be merged."""
    shuffled = [document for document in documents if document.form == "plain"]
    random.Random(0).shuffle(shuffled)
    left = dict(SAMPLE_BYTES)
    for document in shuffled:
        if left[document.language] > 0:
            left[document.language] -= len(document.text.encode())
            yield document.text
    for kana in HIRAGANA + KATAKANA:
        yield " ".join([kana] * KANA_COUNT)


def save(tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": SPECIAL_TOKENS[3:],
        "model_max_length": CONTEXT_LENGTH,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")


def report(tokenizer: Tokenizer, held_out: list[corpus.Document]) -> Iterator[str]:
    for name, characters in (("hiragana", HIRAGANA), ("katakana", KATAKANA)):
        single = sum(len(tokenizer.encode(kana, add_special_tokens=False).ids) == 1 for kana in characters)
        yield f"{name}: {single} of {len(characters)} are one token"
    for language in ("en", "ja", "abc"):
        texts = [document.text for document in held_out if document.language == language and document.form == "plain"]
        num_tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
        num_bytes = sum(len(text.encode()) for text in texts)
        assert all(tokenizer.decode(tokenizer.encode(text).ids) == text for text in texts), "a text did not come back"
        yield f"{language}: {num_bytes / num_tokens:.2f} bytes per token ({num_bytes:,} bytes)"


if __name__ == "__main__":
    main()
