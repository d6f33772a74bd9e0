"""A recipe's items become files that share nothing, and a card whose counts add up."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Conflict, Invalid
from outcrop.recipes.output_folder import CARD, FILES, LEFT_OUT, new_output
from outcrop.recipes.recipe import Dropped, Item, Kept, RecipeRun, source_names, within
from outcrop.recipes.split import NOTHING, PartSizes, Share, parse_share
from outcrop.recipes.writing import write


def run_of(folder: Path, *, recipe: str = "toy") -> RecipeRun:
    source = folder / "source.jsonl"
    source.write_text("{}\n")
    return RecipeRun(recipe=recipe, rule="Each line → a pair.", sources=[source])


def kept(number: int, group: str | None = None, said: str | None = None) -> Kept:
    record = {"prompt": said or f"question {number}", "completion": f"answer {said or number}"}
    return Kept(record=record, group=group or str(number), origin=f"source.jsonl:{number}")


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_split(tmp_path: Path) -> None:
    def written(name: str, seed: int) -> dict[str, bytes]:
        write(run_of(tmp_path), map(kept, range(50)), tmp_path / name, seed=seed)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    assert written("a", 7) == written("b", 7)
    assert written("c", 8)["validation.jsonl"] != written("a", 7)["validation.jsonl"]


def test_a_record_that_comes_twice_is_left_out_and_names_the_first(tmp_path: Path) -> None:
    items = [kept(1, said="same"), kept(2), kept(3, "other group", said="same")]
    card = write(run_of(tmp_path), items, tmp_path / "out", split=PartSizes(validation=NOTHING))
    assert (card.num_in, card.num_kept, card.reasons) == (3, 2, {"the same record stands elsewhere": 1})
    assert read(tmp_path / "out" / LEFT_OUT) == [
        {
            "origin": "source.jsonl:3",
            "reason": "the same record stands elsewhere",
            "detail": "as source.jsonl:1",
        }
    ]


def test_parts_have_the_counts_that_were_asked_and_the_rest_is_left_out(tmp_path: Path) -> None:
    split = PartSizes(train=Share(count=20), validation=Share(count=5), test=Share(percent=10))
    card = write(run_of(tmp_path), map(kept, range(50)), tmp_path / "out", split=split)
    assert [(file.name, file.num_records) for file in card.files] == [
        ("train.jsonl", 20), ("validation.jsonl", 5), ("test.jsonl", 5), (LEFT_OUT, 20),
    ]  # fmt: skip
    assert card.reasons == {"the parts of the split are full": 20}


def test_a_share_of_both_kinds_is_the_lesser() -> None:
    share = Share(count=1000, percent=100 / 11)
    assert [share.num_records(num_all) for num_all in (11, 900, 11_000, 15_000)] == [1, 82, 1000, 1000]
    assert str(share) == "9.091%, at most 1,000"


def test_a_few_large_groups_give_a_percentage_the_smallest_of_them(tmp_path: Path) -> None:
    items = [kept(number, "long" if number < 30 else "short") for number in range(40)]
    card = write(run_of(tmp_path), items, tmp_path / "out", split=PartSizes(validation=Share(percent=10)))
    assert [(file.name, file.num_records) for file in card.files[:2]] == [("train.jsonl", 30), ("validation.jsonl", 10)]


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (
            PartSizes(validation=Share(percent=10)),
            "validation stays empty: there are 10 records in 1 groups, of which the smallest has 10. Ask for smaller parts, "
            "or bring more data.",
        ),
        (
            PartSizes(validation=Share(count=5)),
            "validation stays empty: there are 10 records in 1 groups, of which the smallest has 10. Ask for smaller parts, "
            "or bring more data.",
        ),
        (
            PartSizes(validation=Share(count=10)),
            "train stays empty: there are 10 records in 1 groups, of which the smallest has 10. Ask for smaller parts, or "
            "bring more data.",
        ),
    ],
)
def test_a_part_that_would_stay_empty_is_an_error(tmp_path: Path, split: PartSizes, sentence: str) -> None:
    with pytest.raises(Invalid) as raised:
        write(run_of(tmp_path), [kept(number, "one") for number in range(10)], tmp_path / "out", split=split)
    assert raised.value.message == sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "ten", "-1", "1.5", "101%", "-3%", "nan%", "5%%"])
def test_a_size_that_is_none_is_named_with_its_option(text: str) -> None:
    with pytest.raises(Invalid, match=r"^--test: .* is no size of a part\. Give a count such as 1000"):
        parse_share(text, name="--test")


def test_sizes_may_be_written_as_people_write_them() -> None:
    assert [parse_share(text, name="--train") for text in ("10,000", " 7 ", "12.5 %")] == [
        Share(count=10_000), Share(count=7), Share(percent=12.5),
    ]  # fmt: skip


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path) -> None:
    items = [*[Dropped(origin="a:1", reason="too long")] * 3, Dropped(origin="a:4", reason="no text")]
    with pytest.raises(Invalid) as raised:
        write(run_of(tmp_path), items, tmp_path / "out")
    told = "toy: nothing is left of 4 items: 3 × too long; 1 × no text. Nothing was written."
    assert raised.value.message == told
    with pytest.raises(Invalid) as raised:
        write(run_of(tmp_path), [], tmp_path / "out")
    told = "toy: the sources hold nothing that this recipe reads. Name files with records in them."
    assert raised.value.message == told


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"prompt": "a", "completion": " "}, "completion: blank"),
        ({"prompt": "", "completion": "b"}, "prompt: empty"),
        ({"input": "\ud800"}, "input: half a character (\\ud800) at position 1"),
        ({"prompt": "a", "completion": None}, "completion: expected a string, found null"),
        ({"messages": [{"role": "user", "content": "a"}]}, "messages: the last turn is the user's"),
    ],
)
def test_what_preflight_would_refuse_is_left_out_with_its_reason(tmp_path: Path, record: Any, reason: str) -> None:
    items = [kept(1), Kept(record=record, group="bad", origin="source.jsonl:2")]
    card = write(run_of(tmp_path), items, tmp_path / "out", split=PartSizes(validation=NOTHING))
    assert card.reasons == {reason: 1}


def test_a_folder_with_something_else_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(Invalid) as raised:
        write(run_of(tmp_path), [kept(1)], out)
    assert raised.value.message == (
        f"--out {out}: it holds notes.txt, which this command did not write. Name a new folder."
    )
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", [*FILES, CARD])
def test_a_file_of_ours_without_our_card_is_somebody_else_s(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("# mine\n")
    with pytest.raises(Invalid, match=f"it holds {re.escape(name)}, which this command did not write"):
        write(run_of(tmp_path), [kept(1)], tmp_path / "out")


def test_an_earlier_output_is_replaced_unless_somebody_changed_it(tmp_path: Path) -> None:
    out, split = tmp_path / "out", PartSizes(validation=NOTHING)
    write(run_of(tmp_path), map(kept, range(30)), out)
    card = write(run_of(tmp_path), [kept(1)], out, split=split)
    assert sorted(path.name for path in out.iterdir()) == [CARD, LEFT_OUT, "train.jsonl"]
    assert card.num_kept == 1
    with (out / "train.jsonl").open("a") as file:
        file.write('{"prompt": "by hand", "completion": "kept"}\n')
    with pytest.raises(
        Invalid, match=r"train.jsonl was changed since it was written. Move it away, or name a new one."
    ):
        write(run_of(tmp_path), [kept(1)], out, split=split)


def test_a_source_may_have_the_name_of_an_output(tmp_path: Path) -> None:
    source = tmp_path / "train.jsonl"
    source.write_text("{}\n")
    made = RecipeRun(recipe="toy", rule="", sources=[source])
    for _ in range(2):
        card = write(made, [kept(1)], tmp_path / "out", split=PartSizes(validation=NOTHING))
        assert card.num_kept == 1
    assert source.read_text() == "{}\n"
    assert "train.jsonl" in (tmp_path / "out" / CARD).read_text()


@pytest.mark.parametrize("ending", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_whatever_breaks_it_off_leaves_nothing_half(tmp_path: Path, ending: Any) -> None:
    def items() -> Iterator[Item]:
        yield kept(1)
        raise ending

    with pytest.raises((KeyboardInterrupt, OSError)):
        write(run_of(tmp_path), items(), tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()

    write(run_of(tmp_path), map(kept, range(30)), tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises((KeyboardInterrupt, OSError)):
        write(run_of(tmp_path), items(), tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_what_a_killed_run_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "out" / ".outcrop-making").mkdir(parents=True)
    (tmp_path / "out" / ".outcrop-making" / "records").write_text("half")
    write(run_of(tmp_path), [kept(1)], tmp_path / "out", split=PartSizes(validation=NOTHING))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [CARD, LEFT_OUT, "train.jsonl"]


def test_two_runs_do_not_write_one_folder_together(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_output(out) as making:
        with pytest.raises(Conflict, match="another run writes there"), new_output(out):
            pass
        (making / CARD).write_text("the first one goes on")
    assert (out / CARD).exists()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(Invalid, match="a file is in the way"):
        write(run_of(tmp_path), [kept(1)], tmp_path / "out")
    with pytest.raises(Invalid, match="a file is in the way"):
        write(run_of(tmp_path), [kept(1)], tmp_path / "out" / "below")


def test_the_card_tells_sources_options_and_licence_and_no_path(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("MIT")
    write(run_of(tmp_path), map(kept, range(30)), tmp_path / "out")
    card = (tmp_path / "out" / CARD).read_text()
    for told in ("`toy`", "Each line → a pair.", "source.jsonl", "30 items read = 30 kept + 0 left out", "See LICENSE"):
        assert told in card
    assert str(tmp_path) not in card


def test_sources_are_told_apart_by_as_much_of_their_path_as_it_takes(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.jsonl", tmp_path / "b" / "x.jsonl", tmp_path / "b" / "y.jsonl"]
    assert list(source_names(paths).values()) == ["a/x.jsonl", "b/x.jsonl", "y.jsonl"]


def test_long_records_are_left_out_by_the_letters_of_all_their_texts() -> None:
    turns = [{"role": "user", "content": "1234"}, {"role": "assistant", "content": [{"text": "56"}]}]
    records: Sequence[Any] = [
        {"prompt": "12345", "completion": "6"}, {"input": "1234567"}, {"system": "78", "messages": turns},
    ]  # fmt: skip
    items = [Kept(record=record, group="g", origin="o") for record in records]
    assert [type(item) for item in within(items, most_characters=6)] == [Kept, Dropped, Dropped]
