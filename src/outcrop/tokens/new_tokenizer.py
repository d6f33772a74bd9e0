"""A tokenizer learned from texts: byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909), in the place of a base's.

Every byte is a token from the beginning, so any text can be written and comes back as it was, whatever the tokenizer
was trained on. Of the base are kept: its special tokens, which begin, end and pad a text and part the turns of a
conversation, and its chat template. Equal texts in equal order give equal files.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from outcrop.tokens.model_files import SPECIAL_TOKENS, read_config, read_json
from outcrop.tokens.tokenizer import Tokenizer as Opened

NUM_BYTES = 256
_CROWD = 64
"Special tokens; of more than so many, most are reserved for nothing."
_FILES = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "vocab.*", "merges.txt",
    "generation_config.json",
)  # fmt: skip
_KEPT_FILES = ("chat_template.jinja",)


class NewVocabulary(NamedTuple):
    """The vocabulary that a text gave: fewer tokens than asked for where it holds no more repetitions."""

    size: int
    special: tuple[str, ...]


def special_tokens(base: Path, opened: Opened) -> tuple[str, ...]:
    """The special tokens that a new tokenizer takes over from `base`, in the order of their ids there.

    All of them, but of a crowd, such as 250 that are reserved, those that something names.
    """
    ends = [opened.token(one) for one in opened.eos_ids]
    begins = opened.token(opened.bos_id) if opened.bos_id is not None else None
    needed = dict.fromkeys(token for token in (*opened.special_tokens.values(), begins, *ends) if token)
    there = [spelling for one in sorted(opened.special_ids) if (spelling := opened.token(one))]
    if len(there) > _CROWD:
        template = read_config(base)["chat_template"] or ""
        there = [spelling for spelling in there if spelling in needed or spelling in template]
    return tuple(dict.fromkeys([*there, *needed]))


def least_size(base: Path) -> int:
    """Ids that a tokenizer has before it has learned anything: the bytes and the special tokens."""
    return NUM_BYTES + len(special_tokens(base, Opened.open(base)))


def train(texts: Iterable[str], *, size: int, base: Path, folder: Path) -> NewVocabulary:
    """Learn a tokenizer of at most `size` ids from `texts`, and write its files into `folder`.

    The texts are read one after the other; what is remembered of them are their different words. `base` is the
    directory of the tokenizer whose special tokens and template it takes over. Raises Invalid where that is none, and
    whatever reading the texts raises.
    """
    opened = Opened.open(base)
    special = special_tokens(base, opened)
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learned.train_from_iterator(texts, trainer)
    begins = opened.token(opened.bos_id) if opened.begins_with_bos and opened.bos_id is not None else None
    if begins is not None:
        learned.post_processor = processors.TemplateProcessing(
            single=f"{begins} $A", pair=f"{begins} $A {begins} $B", special_tokens=[(begins, special.index(begins))]
        )
    learned.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", _configuration(opened, base, special, adds_bos=begins is not None))
    _write(folder / "generation_config.json", _generation(opened, base, learned))
    for name in _KEPT_FILES:
        if (base / name).is_file():
            (folder / name).write_bytes((base / name).read_bytes())
    return NewVocabulary(learned.get_vocab_size(with_added_tokens=True), special)


def files(folder: Path) -> list[Path]:
    """The files of the tokenizer in a model's directory."""
    return sorted({path for pattern in _FILES for path in folder.glob(pattern) if path.is_file()})


def ids_of(folder: Path) -> dict[str, int | list[int] | None]:
    """The ids that the configuration of a network with the tokenizer in `folder` names."""
    generation = read_json(folder / "generation_config.json") or {}
    return {name: generation.get(name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def _configuration(opened: Opened, base: Path, special: Sequence[str], *, adds_bos: bool) -> dict[str, Any]:
    before = read_json(base / "tokenizer_config.json") or {}
    named = {name: token for name, token in opened.special_tokens.items() if token in special}
    kept = {name: before[name] for name in ("model_max_length", "chat_template") if before.get(name)}
    others = [token for token in special if token not in named.values()]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{name: named[name] for name in SPECIAL_TOKENS if name in named},
        "add_bos_token": adds_bos,
        **({"additional_special_tokens": others} if others else {}),
        "clean_up_tokenization_spaces": False,
        **kept,
    }


def _generation(opened: Opened, base: Path, learned: Tokenizer) -> dict[str, Any]:
    """Sampling as the base has it, and the same special tokens under their new ids."""
    before = read_json(base / "generation_config.json") or {}
    ends = [learned.token_to_id(spelling) for one in opened.eos_ids if (spelling := opened.token(one))]
    bos, pad = (opened.token(one) if one is not None else None for one in (opened.bos_id, opened.pad_id))
    return {
        **before,
        "bos_token_id": learned.token_to_id(bos) if bos else None,
        "eos_token_id": ends[0] if len(ends) == 1 else ends,
        "pad_token_id": learned.token_to_id(pad) if pad else None,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
