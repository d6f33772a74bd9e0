"""`outcrop knowledge` and `outcrop ask` as a newcomer uses them, on a whole installation without an embedding model."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outcrop.cli.app import run
from tests.support.rule_book import RULES
from tests.support.servers import Installed, installed

Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(tmp_path_factory.mktemp("commands") / "home") as installation:
        yield installation


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book") / "exchange"
    folder.mkdir()
    for number, rule in RULES.items():
        (folder / f"{number}.md").write_text(f"# Rule {number} {rule.title}\n\n{rule.text}\n", "utf-8")
    return folder


@pytest.fixture
def ran(house: Installed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The exit code of a command, and what it said on standard output and error."""
    monkeypatch.setenv("OUTCROP_HOME", str(house.settings.home))
    monkeypatch.setenv("COLUMNS", "80")

    def ask(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return ask


def test_a_folder_becomes_a_knowledge_base_that_is_asked_and_follows_its_changes(
    ran: Ran, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder of rules, and no embedding model
    code, said, _ = ran("knowledge", "add", "rules", str(book))
    assert code == 0, said
    assert "words alone find" in said
    assert f"exchange: {len(RULES)} looked at, {len(RULES)} new, 0 changed, 0 deleted, 0 failed." in said
    # When it is asked, the sentence stands there with its rule beneath, within 80 columns but for the URI
    code, said, _ = ran("ask", "rules", "How long must order tickets be kept?")
    assert code == 0
    assert "six years" in said.splitlines()[0]
    (source,) = [line for line in said.splitlines() if line.startswith("[1] s3://")]
    assert source.endswith("/rules/exchange/5.1.md")
    assert max(len(line) for line in said.splitlines() if "s3://" not in line) <= 80
    # When a rule is changed, one is removed, and the folder is added again, these two alone are worked on
    rule = book / "5.1.md"
    rule.write_text(rule.read_text("utf-8").replace("six years", "nine years"), "utf-8")
    (book / "3.5.md").unlink()
    code, said, _ = ran("knowledge", "add", "rules", str(book))
    assert f"{len(RULES) - 1} looked at, 0 new, 1 changed, 1 deleted, 0 failed." in said
    # Then the next answer is current
    assert "nine years" in ran("ask", "rules", "How long must order tickets be kept?")[1]
    # And questions that are piped are a talk, in one session
    monkeypatch.setattr("sys.stdin", io.StringIO("What is the fee of an application for membership?\n\nWho decides?\n"))
    code, said, _ = ran("ask", "rules")
    assert code == 0
    assert said.count("[1] s3://") == 2
    # And programs get JSON, of an answer and of the state
    told = json.loads(ran("ask", "rules", "How long must order tickets be kept?", "--json")[1])
    assert (told["answering"], told["supported"], told["sessionId"] != "") == ("extractive", 1.0, True)
    told = json.loads(ran("knowledge", "status", "rules", "--json")[1])
    assert told["dataSources"][0]["documents"] == {"INDEXED": len(RULES) - 1}
    (row,) = json.loads(ran("knowledge", "list", "--json")[1])
    assert (row["knowledge base"], row["status"], row["found by"]) == ("rules", "ACTIVE", "words")


def test_a_bad_document_is_named_with_its_reason_and_the_others_are_there(ran: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "good.txt").write_text("Gulls eat fish.")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "bad.pdf").write_bytes(b"no PDF")
    code, said, _ = ran("knowledge", "add", "mixed", str(folder))
    assert code == 1
    assert "3 looked at, 1 new, 0 changed, 0 deleted, 2 failed." in said
    code, said, _ = ran("knowledge", "status", "mixed")
    assert code == 1
    assert "1 INDEXED" in said
    for name in ("empty.txt", "bad.pdf"):
        (line,) = [n for n, each in enumerate(said.splitlines()) if each.endswith(f"/mixed/mixed/{name}")]
        assert said.splitlines()[line].startswith("not indexed ")
        assert len(said.splitlines()[line + 1].strip()) > 10
    assert "Gulls eat fish. [1]" in ran("ask", "mixed", "What do gulls eat?")[1]


def test_objects_of_a_bucket_are_a_source(house: Installed, ran: Ran) -> None:
    s3 = house.client("s3")
    s3.create_bucket(Bucket="shelf")
    s3.put_object(Bucket="shelf", Key="birds/owl.txt", Body=b"Owls hunt at night.")
    s3.put_object(Bucket="shelf", Key="fish/pike.txt", Body=b"Pikes hunt by day.")
    code, said, _ = ran("knowledge", "add", "birds", "s3://shelf/birds/")
    assert (code, "1 looked at, 1 new" in said) == (0, True), said
    assert "Owls hunt at night. [1]" in ran("ask", "birds", "When do owls hunt?")[1]


def test_mistakes_are_told_in_a_sentence(ran: Ran, tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "notes", tmp_path / "b" / "notes"
    for folder in (one, two):
        folder.mkdir(parents=True)
        (folder / "1.txt").write_text("A note.")
    assert ran("knowledge", "add", "notes", str(one))[0] == 0
    told = {
        (
            "ask",
            "nobody",
            "x",
        ): "nobody: there is no such knowledge base. `outcrop knowledge list` shows those there are.",
        ("ask", "notes", " "): "ask: the question is empty.",
        ("ask", "notes", "x", "--results", "101"): "--results: 101 is out of range. Give a number from 1 to 100.",
        ("knowledge", "add", "notes"): "knowledge add: no source. Name a folder, a file, or s3://bucket/prefix/.",
        ("knowledge", "add", "notes", str(one), str(two)): (
            f"{one} and {two} would both be the data source notes. Rename one of them."
        ),
        ("knowledge", "add", "notes", str(two)): (
            f"{two}: the data source notes is {one} already. Rename the folder or file, or put it into another "
            "knowledge base."
        ),
        ("knowledge", "add", "notes", str(one), "--chunk-tokens", "99"): (
            "--chunk-tokens: notes was cut already, which cannot be changed. Leave it out, or give the knowledge base "
            "another name."
        ),
    }
    for words, sentence in told.items():
        code, _, err = ran(*words)
        assert (code, err) == (2, f"outcrop: {sentence}\n"), words
    for words in (
        ("knowledge", "add", "no name!", str(one)),
        ("ask", "notes", "x", "--model", "no.such-model"),
        ("ask", "notes", "x", "--session", "made-up"),
        ("knowledge", "add", "new", str(one), "--encoder", "no.such-model"),
    ):
        code, _, err = ran(*words)
        assert code == 2, (words, err)
        assert err.startswith("outcrop: ")
