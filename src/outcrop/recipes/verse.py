"""The recipe `verse`: poems of 31 morae → an upper verse, and the lower one that answers it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.recipes.groups import JoinedGroups
from outcrop.recipes.readings import fits, folded, num_morae
from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.rows import SourceRow, rows

UPPER, LOWER = [5, 7, 5], [7, 7]


class VersePair(NamedTuple):
    """An upper and a lower verse, as written and as read, each a list of ku."""

    upper: list[str]
    lower: list[str]
    upper_reading: list[str]
    lower_reading: list[str]


def verse(sources: Sequence[Path], *, any_morae: bool = False) -> Iterator[Item]:
    """Waka → prompt/completion records of an upper verse (5-7-5) and the lower one (7-7).

    Source: tables with the columns upper and lower, the ku of each parted by white space, or with `ku`, a list of
    five, or with verse_1 to verse_5. upper_kana and lower_kana, or verse_1_hiragana and so on, are the readings, where
    the verses have kanji; `mora`, a list, what somebody else counted. Licence: old poems are in the public domain; an
    edition may have its own.
    Rule: prompt = `上の句: <upper>`, a new line, `下の句:`; completion = a space and the lower verse. Morae are counted
    in the reading: one a kana, none for a small ゃ, ゅ, ょ or vowel. Left out: another count than 5-7-5-7-7
    (`--any-morae` keeps these), a reading that is not kana or cannot be the text's, a count that differs from `mora`.
    Poems that share an upper or a lower verse, voicing marks aside, stay in one file.
    """
    poems = JoinedGroups()
    for row in rows(sources):
        if isinstance(row, SourceRow) and (pair := _pair(row.fields)) is not None:
            poems.join(_keys(pair))
    for row in rows(sources):
        yield _item(row, poems, any_morae=any_morae) if isinstance(row, SourceRow) else row


def _item(row: SourceRow, poems: JoinedGroups, *, any_morae: bool) -> Item:
    pair = _pair(row.fields)
    if pair is None:
        return Dropped(origin=row.origin, reason="no upper and lower verse")
    problem = _problem(pair, row.fields.get("mora"), any_morae=any_morae)
    if problem is not None:
        return Dropped(origin=row.origin, reason=problem[0], detail=problem[1])
    record = {"prompt": f"上の句: {' '.join(pair.upper)}\n下の句:", "completion": f" {' '.join(pair.lower)}"}
    return Kept(record=record, group=poems.name(_keys(pair)[0]), origin=row.origin, fields=row.fields)


def _pair(row: Mapping[str, Any]) -> VersePair | None:
    ku = row.get("ku")
    if isinstance(ku, list) and len(ku) == len(UPPER + LOWER) and all(isinstance(each, str) for each in ku):
        return VersePair(ku[:3], ku[3:], ku[:3], ku[3:])
    if "verse_1" in row:
        verses = [str(row.get(f"verse_{number}") or "") for number in range(1, 6)]
        kana = [str(row.get(f"verse_{number}_hiragana") or ku) for number, ku in enumerate(verses, start=1)]
        return VersePair(verses[:3], verses[3:], kana[:3], kana[3:]) if all(verses) else None
    upper, lower = row.get("upper"), row.get("lower")
    if not isinstance(upper, str) or not isinstance(lower, str) or not upper.strip() or not lower.strip():
        return None
    upper_reading, lower_reading = row.get("upper_kana") or upper, row.get("lower_kana") or lower
    return VersePair(upper.split(), lower.split(), str(upper_reading).split(), str(lower_reading).split())


def _problem(pair: VersePair, told: Any, *, any_morae: bool) -> tuple[str, str] | None:
    """The reason to leave a poem out, with its detail."""
    reading = [*pair.upper_reading, *pair.lower_reading]
    morae = [num_morae(ku) for ku in reading]
    if None in morae:
        return "a reading that is not kana", " ".join(reading)
    if not fits([*pair.upper, *pair.lower], reading):
        return "a reading that cannot be the text's", f"{' '.join([*pair.upper, *pair.lower])} / {' '.join(reading)}"
    if isinstance(told, list) and told != morae:
        return "another number of morae than the source tells", f"{_count(morae)}, told {_count(told)}"
    if morae != UPPER + LOWER and not any_morae:
        return "not 5-7-5-7-7 morae", _count(morae)
    return None


def _count(morae: Sequence[object]) -> str:
    return "-".join(map(str, morae))


def _keys(pair: VersePair) -> tuple[str, str]:
    return f"upper {folded(''.join(pair.upper_reading))}", f"lower {folded(''.join(pair.lower_reading))}"
