"""A record that is written as a line of JSON is read back as the same record."""

from hypothesis import given
from hypothesis import strategies as st

from outcrop.datasets.reading import read_records
from outcrop.datasets.record_json import texts_of, to_line
from outcrop.datasets.records import Conversation, Customization, PromptCompletion, Record, TextRecord, digest

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1).filter(str.strip)
pairs = st.builds(PromptCompletion, prompt=texts, completion=texts, line=st.just(1))
documents = st.builds(TextRecord, text=texts, line=st.just(1))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    said = draw(st.lists(st.tuples(texts, texts), min_size=1, max_size=3))
    turns = [
        {"role": role, "content": text} for turn in said for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return Conversation(system=draw(st.none() | texts), messages=tuple(turns), line=1)


@given(pairs | documents | conversations())
def test_what_is_written_is_read_back(record: Record) -> None:
    kind: Customization = "CONTINUED_PRE_TRAINING" if isinstance(record, TextRecord) else "FINE_TUNING"
    (again,) = read_records([to_line(record)], name="left.jsonl", customization=kind)
    assert again == record
    assert digest(again) == digest(record)
    assert texts_of(again) == texts_of(record)
