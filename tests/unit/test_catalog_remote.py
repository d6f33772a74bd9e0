"""Remote models in the catalogue: found by every form of their id, invoked, and refused by name for anything else."""

from pathlib import Path

import pytest

from outcrop.catalog.catalog import HOME_FILE, Catalog
from outcrop.catalog.remote_model import RemoteApi, RemoteModel, aws_url, remote_url
from outcrop.errors import Invalid, MachineTrouble, NotFound

REMOTE = RemoteModel(api=RemoteApi.OPENAI, url="https://api.example.com/v1", model="big-1")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


@pytest.mark.parametrize(
    "identifier",
    ["example.big-v1", "example.big-v1:0", "arn:aws:bedrock:eu-west-1::foundation-model/example.big-v1"],
)
def test_a_remote_model_answers_to_every_form_of_its_id(catalog: Catalog, identifier: str) -> None:
    catalog.register_remote("example.big-v1", REMOTE, provider="Example")
    found = catalog.find(identifier)
    assert found is not None
    assert (found.remote, found.provider, found.name, found.customizations) == (REMOTE, "Example", "big-v1", ())
    assert found in catalog.invocable()
    assert found not in catalog.ready()


def test_it_is_refused_by_name_wherever_weights_are_needed(catalog: Catalog) -> None:
    catalog.register_remote("example.big-v1", REMOTE)
    with pytest.raises(Invalid) as refused:
        catalog.usable("example.big-v1")
    assert str(refused.value) == (
        "The provided model identifier is invalid. (example.big-v1 is a remote model, at api.example.com: it can be "
        "invoked there, and neither customized nor deployed here.)"
    )
    with pytest.raises(Invalid, match="is a remote model"):
        catalog.alias("amazon.titan-text-lite-v1", "example.big-v1")


def test_an_id_that_is_known_by_name_keeps_its_dialect_and_one_with_weights_is_taken(catalog: Catalog) -> None:
    entry = catalog.register_remote("anthropic.claude-3-haiku-20240307-v1:0", REMOTE)
    assert (entry.dialect, entry.provider) == ("claude", "Anthropic")
    assert catalog.register_remote("meta.llama9-1b-instruct-v1:0", REMOTE).dialect == "llama"
    assert catalog.register_remote("somebody.else-v1", REMOTE).dialect == "any"
    for taken in ("outcrop.starter-v1", "qwen.qwen3-0-6b-v1"):
        with pytest.raises(Invalid, match="is in the catalogue already, and has weights"):
            catalog.register_remote(taken, REMOTE)


def test_registering_again_changes_where_it_is(catalog: Catalog, tmp_path: Path) -> None:
    catalog.register_remote("example.big-v1", REMOTE, name="Big")
    moved = RemoteModel(api=RemoteApi.BEDROCK, url=aws_url("us-west-2"), model="m", region="us-west-2")
    assert catalog.register_remote("example.big-v1", moved).remote == moved
    again = Catalog(tmp_path).find("example.big-v1")
    assert again is not None
    assert (again.remote, again.name) == (moved, "Big")


def test_withdrawing_one_leaves_all_else_of_the_file_as_it_was(catalog: Catalog, tmp_path: Path) -> None:
    catalog.register_remote("example.one-v1", REMOTE)
    catalog.register_remote(
        "example.two-v1", RemoteModel(api=RemoteApi.OPENAI, url=REMOTE.url, model="b", completes=True)
    )
    file = tmp_path / HOME_FILE
    file.write_text(file.read_text() + "# a word of the administrator\n")
    catalog.register_remote("example.one-v1", REMOTE)  # so it is there twice
    assert catalog.withdraw_remote("example.one-v1:0").id == "example.one-v1"
    assert catalog.find("example.one-v1") is None
    two = catalog.find("example.two-v1")
    assert two is not None
    assert two.remote is not None
    assert two.remote.completes
    assert "# a word of the administrator" in file.read_text()
    with pytest.raises(NotFound, match="not in the catalogue"):
        catalog.withdraw_remote("example.one-v1")
    with pytest.raises(Invalid, match="it is no remote model"):
        catalog.withdraw_remote("outcrop.starter-v1")


@pytest.mark.parametrize(
    "written", ['{ api = "openai" }', '{ api = "telnet", url = "x", model = "m" }', '{ url = "x", model = "m" }']
)
def test_an_entry_that_is_half_written_is_named(tmp_path: Path, written: str) -> None:
    head = '[[model]]\nid = "a.b-v1"\ncontext = ""\nname = "b"\nprovider = "a"\ncontext_length = 0\n'
    (tmp_path / HOME_FILE).write_text(f"{head}remote = {written}\n")
    with pytest.raises(MachineTrouble, match=r"a\.b-v1: remote: "):
        Catalog(tmp_path).entries()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("HTTPS://API.Example.com:8443", "https://api.example.com:8443"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_url_has_one_spelling(given: str, url: str) -> None:
    assert remote_url(given) == url


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("http://gpu-box:8000/v1", "gpu-box would be spoken to without encryption"),
        ("http://10.0.0.1/v1", "10.0.0.1 would be spoken to without encryption"),
        ("http://localhost.example.com/v1", "would be spoken to without encryption"),
        ("https://user:secret@host/v1", "holds credentials"),
        ("https://host/v1?key=secret", "has a query or a fragment"),
        ("ftp://host/v1", "is no address of a server"),
        ("api.example.com", "is no address of a server"),
        ("https://host:port/v1", "--url: "),
        ("https:///v1", "is no address of a server"),
    ],
)
def test_a_url_that_must_not_be_used_is_refused(given: str, words: str) -> None:
    with pytest.raises(Invalid, match=r"^--url: ") as refused:
        remote_url(given)
    assert words in str(refused.value)
    if "holds credentials" in words:
        assert "secret" not in str(refused.value)


def test_the_address_of_real_bedrock_follows_from_the_region() -> None:
    assert aws_url("eu-central-1") == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert aws_url("cn-north-1") == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
