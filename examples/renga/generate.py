"""Write the linked verse data set: `cd examples && python -m renga.generate`.

Every verse is composed from `phrases.toml`, whose phrases were written for this project. Upper and lower verse of a
poem come from one theme, so a custom model can be seen to learn both the form (seven and seven morae) and the link.
The same phrases and seed give the same bytes on every machine. The ruler that scores a model is `mora.py`, not this.
"""

import argparse
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import combinations, islice, product
from pathlib import Path
from typing import NamedTuple, TypeVar

from .mora import count_morae

HERE = Path(__file__).parent
SEED = 1
MORAE = {"first": 5, "second": 7, "third": 5, "fourth": 7, "fifth": 7}
RECORDS = {"train": 2000, "validation": 200, "test": 200}

Phrases = dict[str, list[str]]
"""The phrases of one theme by their place in the poem; the places are the keys of MORAE."""

Strings = TypeVar("Strings", bound=tuple[str, ...])


class Poem(NamedTuple):
    """One upper verse (5-7-5) and the lower verse (7-7) that answers it; ku are parted by a space."""

    upper: str
    lower: str


def main() -> None:
    """Compose every file and write it next to the phrases, or where --out says."""
    parser = argparse.ArgumentParser(description="Write the linked verse data set.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    for name, poems in compose(read_phrases(HERE / "phrases.toml"), seed=arguments.seed).items():
        (arguments.out / f"{name}.jsonl").write_bytes("".join(map(record_line, poems)).encode())
        print(f"{name}.jsonl: {len(poems)} records")


def read_phrases(path: Path) -> dict[str, Phrases]:
    """The phrase bank by theme.

    Raises ValueError naming every phrase whose morae do not fit its place.
    """
    themes: dict[str, Phrases] = tomllib.loads(path.read_text(encoding="utf-8"))
    problems = [problem for theme, phrases in themes.items() for problem in phrase_problems(theme, phrases)]
    if problems:
        raise ValueError("\n".join(f"{path.name}: {problem}" for problem in problems))
    return themes


def phrase_problems(theme: str, phrases: Phrases) -> Iterator[str]:
    """The problems of one theme's phrases, in order."""
    for place, morae in MORAE.items():
        for phrase in phrases[place]:
            if (found := count_morae(phrase)) != morae:
                yield f"{theme}.{place}: {phrase} has {found} morae, this place takes {morae}. Change the phrase."


def compose(themes: dict[str, Phrases], *, seed: int) -> dict[str, list[Poem]]:
    """The poems of every file, each theme with an equal share; no upper and no lower verse occurs twice in all.

    So a model cannot answer a held-out record with a lower verse it has seen whole.
    """
    used: set[str] = set()
    files: dict[str, list[Poem]] = {name: [] for name in RECORDS}
    for theme, phrases in themes.items():
        poems = compose_theme(phrases, seed=f"{seed}/{theme}", used=used)
        for name, size in RECORDS.items():
            files[name] += take(poems, size // len(themes), theme=theme)
    return {name: shuffled(poems, seed=f"{seed}/{name}") for name, poems in files.items()}


def compose_theme(phrases: Phrases, *, seed: str, used: set[str]) -> Iterator[Poem]:
    """Poems of one theme until it has no fresh verses left; `used` grows by both verses of every poem given out."""
    uppers = shuffled(product(phrases["first"], phrases["second"], phrases["third"]), seed=seed)
    lowers = shuffled(product(phrases["fourth"], phrases["fifth"]), seed=seed)
    for lower in (lower for lower in lowers if " ".join(lower) not in used and not repeats(lower)):
        fitting = (upper for upper in uppers if " ".join(upper) not in used and not repeats(upper + lower))
        if upper := next(fitting, None):
            poem = Poem(" ".join(upper), " ".join(lower))
            used.update(poem)
            yield poem


def repeats(poem: Sequence[str]) -> bool:
    """Whether two ku of a poem say the same word: they begin alike, or share three kana in a row.

    Linked verse shuns repetition, and phrases joined by chance would be full of it.
    """
    return any(one[:2] == other[:2] or trigrams(one) & trigrams(other) for one, other in combinations(poem, 2))


def trigrams(ku: str) -> set[str]:
    """Every three kana in a row."""
    return {ku[start : start + 3] for start in range(len(ku) - 2)}


def take(poems: Iterator[Poem], count: int, *, theme: str) -> list[Poem]:
    """The next `count` poems. Raises ValueError when the theme has no more to give."""
    taken = list(islice(poems, count))
    if len(taken) < count:
        raise ValueError(f"{theme}: only {len(taken)} of {count} poems left. Add phrases to this theme.")
    return taken


def shuffled(items: Iterable[Strings], *, seed: str) -> list[Strings]:
    """The items in an order that only they themselves and `seed` decide.

    By digest, since random.shuffle promises its order within one version of Python only.
    """
    return sorted(items, key=lambda item: sha256("/".join((seed, *item)).encode()).digest())


def record_line(poem: Poem) -> str:
    """One line of a FINE_TUNING dataset.

    The space stands at the start of the completion, not at the end of the prompt: tokenizers join a space to what
    follows it, so a prompt that ended in one would be cut into other tokens than the records were.
    """
    record = {"prompt": f"上の句: {poem.upper}\n下の句:", "completion": f" {poem.lower}"}
    return json.dumps(record, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
