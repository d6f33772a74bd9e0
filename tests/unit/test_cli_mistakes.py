"""What a newcomer does wrong at the command line is told in a sentence, with the right exit code."""

import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outcrop.cli import failing, listening
from outcrop.cli.app import run
from outcrop.cli.failing import failure
from outcrop.cli.listening import PortTaken, check_port
from outcrop.errors import MachineTrouble
from outcrop.settings import PARTS_FILE, Settings
from outcrop.store.store import Store
from tests.support.servers import free_port
from tests.support.tiny import tiny_model

Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command on a home of its own; its exit code and what it said on standard error."""
    monkeypatch.setenv("OUTCROP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OUTCROP_PORT", str(free_port()))  # somebody may be serving at the usual one
    monkeypatch.chdir(tmp_path)

    def ask(*words: str, **environment: str) -> tuple[int, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = run(list(words))
        return code, capsys.readouterr().err.removeprefix("outcrop: ").removesuffix("\n")

    return ask


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["up", "--port", "99999"], "--port: 99999 is out of range. Give a number from 1 to 65535."),
        (["up", "--port", "-1"], "--port: -1 is out of range. Give a number from 1 to 65535."),
        (["up", "--port", "0"], "--port: 0 is out of range. Give a number from 1 to 65535."),
        (["run", "--port", "70000", "--", "true"], "--port: 70000 is out of range. Give a number from 1 to 65535."),
        (["up", "--port", "abc"], 'Invalid value for --port: unable to convert "abc" into int. `outcrop --help` tells more.'),
        (["upp"], 'Unknown command "upp". Did you mean "up"?'),
        (["models", "--al"], "Unknown option: --al."),
        (["checkpoints"], 'Command "checkpoints" parameter --job requires an argument.'),
        (["run"], "run: no command. Name one after two dashes: outcrop run -- python demo.py"),
        (["run", "--"], "run: no command. "),
        (["run", "--", "no-such-program-here"], "no-such-program-here: no such program on the PATH."),
        (["run", "--", "./gone"], "./gone: no such file."),
        (["run", "--", "/tmp"], "/tmp: a folder, not a program."),
        (["alias", "Not An Id!", "outcrop.starter-v1"], "'Not An Id!': not an id of Bedrock's form, provider.name-v1."),
        (["models", "--home", "~nobody-has-this-name/x"], "~nobody-has-this-name/x: nobody knows whose home ~ is."),
        (["check-data", "gone.jsonl"], "gone.jsonl: no such file."),
        (["check-data", "s3://bucket/a.jsonl"], "s3://bucket/a.jsonl: an address, and this command reads files of this machine. Fetch it first: aws s3 cp s3://bucket/a.jsonl ."),
        (["check-data", "https://host/a.jsonl"], "https://host/a.jsonl: an address, and this command reads files of this machine. Fetch it first: curl -O https://host/a.jsonl"),
        (["check-data", "/dev/null"], "/dev/null: no regular file, and it is read more than once."),
        (["estimate", "gone.jsonl"], "gone.jsonl: no such file."),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_ends_with_2(said: Said, words: list[str], sentence: str) -> None:
    code, told = said(*words)
    assert told.startswith(sentence)
    assert code == 2


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OUTCROP_PORT", "abc", "OUTCROP_PORT: 'abc' is no number. Give a number from 1 to 65535, or unset it."),
        ("OUTCROP_PORT", "0", "OUTCROP_PORT: 0 is out of range."),
        ("OUTCROP_THREADS", "-2", "OUTCROP_THREADS: -2 is out of range. Give a number from 0 to 65535."),
        ("OUTCROP_THREADS", "1.5", "OUTCROP_THREADS: '1.5' is no number."),
        ("OUTCROP_DEVICES", "0", "OUTCROP_DEVICES: 0 is out of range."),
        ("OUTCROP_MEMORY_LIMIT", "much", "OUTCROP_MEMORY_LIMIT: 'much' is no amount of memory. Give one such as 8GiB"),
        ("OUTCROP_MEMORY_LIMIT", "0", "OUTCROP_MEMORY_LIMIT: '0' is no amount of memory."),
    ],
)
def test_a_setting_that_is_no_number_is_told(said: Said, name: str, value: str, sentence: str) -> None:
    code, told = said("models", **{name: value})
    assert told.startswith(sentence)
    assert code == 2


def test_a_program_that_cannot_be_run_is_told_before_anything_is_started(said: Said, tmp_path: Path) -> None:
    script = tmp_path / "demo.py"
    script.write_text("print(1)")
    assert (
        said("run", "--", "./demo.py")[1]
        == "./demo.py: not executable. Make it so (chmod +x), or put python before it."
    )
    assert said("run", "--", "demo.py")[1].endswith("A file of this name is in this folder: write ./demo.py for it.")
    script.write_text("#!/no/such/python\n")
    script.chmod(0o755)
    assert said("run", "--", "./demo.py")[1].endswith("names an interpreter that is not there: /no/such/python")
    script.write_text("echo no interpreter named\n")
    assert said("run", "--", "./demo.py")[1].endswith("so the system cannot run it. Put python before it.")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("8.8.8.8", "8.8.8.8:4580: cannot listen there (Cannot assign requested address). This machine has no such address."),
        ("::2", "[::2]:4580: cannot listen there ("),
        ("224.0.0.1", "224.0.0.1:4580: cannot listen there (an address of many machines). This machine has no such address."),
        ("no-such-host.invalid", "no-such-host.invalid:4580: cannot listen there (no address is known for 'no-such-host.invalid')."),
        ("http://127.0.0.1", "http://127.0.0.1:4580: cannot listen there (no address is known for "),
        ("127.0.0.1:80", "127.0.0.1:80:4580: cannot listen there (no address is known for "),
        ("a..b", "a..b:4580: cannot listen there (no address is known for "),
    ],
)  # fmt: skip
def test_an_address_that_is_not_this_machines_is_told_truly(said: Said, host: str, sentence: str) -> None:
    code, told = said("up", "--host", host, OUTCROP_PORT="4580")
    assert told.startswith(sentence)
    assert "Stop the program" not in told
    assert code == 1


def test_a_port_that_only_the_administrator_opens_is_told_truly(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(listening, "_FIRST_FREE_FOR_ALL", Path("/nowhere"))
    with pytest.raises(PortTaken) as refused:
        check_port(Settings(home=Path("/home"), port=80))
    assert refused.value.message == (
        "127.0.0.1:80: cannot listen there (Permission denied). Port 80 is one of those below 1024 that only the "
        "administrator opens. Choose a higher one with --port."
    )


def test_a_home_that_is_no_folder_is_told_truly(said: Said, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words in (["up"], ["alias", "house.other-v1", "outcrop.starter-v1"], ["mount", "bucket", "s3://other"]):
        code, told = said(*words, "--home", "file")
        assert told.startswith(
            f"{tmp_path}/file: the home is a folder, and something else has this name. Choose another"
        )
        assert code == 1
    assert said("up", "--home", "file/below")[1].startswith(f"{tmp_path}/file/below: the home cannot be written (Not a")
    (tmp_path / "dangling").symlink_to("gone")
    assert said("up", "--home", "dangling")[0] == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"nonsense[", "Expected '='"),
        (b"\xff", "'utf-8' codec can't decode"),
        (b"[[model]]\nid = 5\n", "the entry 5 has no context"),
        (b"model = 3\n", "it holds model, and should hold [[model]]"),
        (b"[[models]]\nid = 'a.b'\n", "it holds models, and should hold [[model]]"),
        (b"model = [1]\n", "1 is no table; write [[model]]"),
        (b'[[model]]\nid="a.b"\nname="n"\nprovider="p"\ncontext="4k"\ncontext_length="long"\n', "a.b: context_length: 'long' is of the wrong type"),
        (b'[[model]]\nid="a.b"\nname="n"\nprovider="p"\ncontext="4k"\ncontext_length=4\nweights={disk="x"}\n', "a.b: weights: give one of bundled, directory, hub, alias"),
        (b'[[model]]\nid="a.b"\nname="n"\nprovider="p"\ncontext="4k"\ncontext_length=4\nsize=7\n', "a.b: size is no member of an entry"),
    ],
)  # fmt: skip
def test_a_broken_catalogue_is_told_with_the_entry(said: Said, tmp_path: Path, text: bytes, what: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models.toml").write_bytes(text)
    code, told = said("models")
    assert told.startswith(f"{tmp_path}/home/models.toml: not a model catalogue: {what}")
    assert code == 1


def test_a_damaged_database_is_told_to_be_one(said: Said, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "outcrop.db").write_bytes(b"this is no database, " * 500)
    for words in (["env"], ["up"], ["mount", "bucket", "s3://other"]):
        code, told = said(*words)
        assert "outcrop.db: the database cannot be opened (file is not a database). The file is damaged: put it" in told
        assert code == 1


def test_a_home_of_a_newer_version_is_told(said: Said, tmp_path: Path) -> None:
    Store.open(Settings(home=tmp_path / "home")).close()
    with sqlite3.connect(tmp_path / "home" / "outcrop.db") as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    connection.close()
    code, told = said("up")
    assert "written by a newer Outcrop (schema 99;" in told
    assert code == 1


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "OUTCROP_DATABASE_URL: no database can be opened at it (Could not parse"),
        ("nobody://secret@host/x", "OUTCROP_DATABASE_URL: no database can be opened at it (Can't load plugin"),
        (
            "postgresql://somebody@127.0.0.1:9/x?password=secret",
            "OUTCROP_DATABASE_URL: password stands in its query, where it would be shown with the address. Write it behind",
        ),
        ("sqlite://", "OUTCROP_DATABASE_URL: SQLite needs a file that several processes can open."),
    ],
)
def test_a_database_that_is_none_is_told_without_its_password(said: Said, url: str, sentence: str) -> None:
    code, told = said("up", OUTCROP_DATABASE_URL=url)
    assert told.startswith(sentence)
    assert "secret" not in told
    assert code == 1


def test_what_the_supervisor_left_behind_is_no_riddle(said: Said, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / PARTS_FILE).write_text("[1]")
    assert said("jobs")[1].startswith(f"{home}/{PARTS_FILE}: not what `outcrop up` writes. ")
    (home / PARTS_FILE).write_text('{"endpoint": "http://127.0.0.1:1"}')
    code, told = said("jobs", AWS_PROFILE="nobody", AWS_RETRY_MODE="nonsense", HTTP_PROXY="http://127.0.0.1:2")
    assert told.startswith("The server does not answer (Could not connect to the endpoint URL: ")
    assert code == 1


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        merged = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in merged.items() if value != "-"}))

    return change


def content(name: str, text: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(text)


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def is_folder(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize(
    ("break_it", "what"),
    [
        (content("config.json", b""), "/config.json: empty. "),
        (content("config.json", b"[]"), "/config.json: expected a JSON object, found a list. "),
        (content("config.json", b"null"), "/config.json: expected a JSON object, found null. "),
        (content("config.json", b"{"), "/config.json: not JSON ("),
        (content("config.json", b"[" * 100_000), "/config.json: not JSON ("),
        (content("config.json", b"\xff\xfe{}"), "/config.json: not UTF-8, at byte 1. "),
        (content("config.json", b" " * (17 << 20)), "/config.json: 17,825,792 bytes, and none of its kind is larger"),
        (is_folder, "/config.json: not a file."),
        (gone("config.json"), ": no config.json (the architecture). "),
        (config(model_type="-"), "/config.json: model_type is missing; it names the kind of network"),
        (config(model_type=3), "/config.json: model_type is a number; "),
        (config(torch_dtype="banana"), '/config.json: torch_dtype: "banana" is no type of weights. '),
        (config(dtype=7), "/config.json: dtype: 7 is no type of weights. "),
        (config(text_config=[1]), "/config.json: text_config: expected an object, found a list."),
        (config(max_position_embeddings="many"), '/config.json: max_position_embeddings: "many" is no context length. '),
        (config(max_position_embeddings=-4), "/config.json: max_position_embeddings: -4 is no context length. "),
        (config(max_position_embeddings=float("inf")), "/config.json: max_position_embeddings: Infinity is no context length."),
        (gone("model.safetensors"), ": no *.safetensors (the weights). "),
        (content("model.safetensors", b""), "/model.safetensors: not a whole safetensors file. "),
        (content("model.safetensors", b"x" * 100), "/model.safetensors: not a whole safetensors file. "),
        (content("model.safetensors", (2).to_bytes(8, "little") + b"[]"), "/model.safetensors: not a safetensors file, its header cannot be read. "),
        (lambda folder: os.truncate(folder / "model.safetensors", 9000), "/model.safetensors: 9,000 bytes, where its header tells "),
        (content("model.safetensors.index.json", b'{"weight_map": {"a": "model-00001-of-2.safetensors"}}'), ": model-00001-of-2.safetensors is missing; model.safetensors.index.json names it. "),
        (gone("tokenizer.json"), ": no tokenizer.json (the tokenizer). "),
        (content("tokenizer.json", b""), "/tokenizer.json: not JSON: "),
        (content("tokenizer.json", b"{}"), ": no tokenizer can be made of its tokenizer.json ("),
        (content("tokenizer_config.json", b"3"), "/tokenizer_config.json: expected a JSON object, found a number. "),
        (content("generation_config.json", b"[1]"), "/generation_config.json: expected a JSON object, found a list. "),
    ],
)  # fmt: skip
def test_a_broken_directory_is_told_by_the_file(
    said: Said, tiny: Path, tmp_path: Path, break_it: Callable[[Path], object], what: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    break_it(folder)
    code, told = said("register", str(folder))
    assert told.startswith(f"{folder}{what}")
    assert code == 2


def test_a_directory_that_is_none_is_told(said: Said, tmp_path: Path) -> None:
    assert said("register", "gone")[1].startswith(f"{tmp_path}/gone: no such folder. ")
    (tmp_path / "file").write_text("")
    assert said("register", "file")[1].startswith(f"{tmp_path}/file: a file, not a folder. ")


def test_what_nobody_foresaw_is_a_sentence_and_its_traceback_a_file(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise KeyError("surprise")

    monkeypatch.setattr("outcrop.cli.tables.print_models", fail)
    (tmp_path / "home" / "logs").mkdir(parents=True)
    code, told = said("models")
    log = tmp_path / "home" / "logs" / failing.LOG
    assert told == (
        f"Something went wrong that should not (KeyError: 'surprise'). The details are in {log}; please report them."
    )
    assert code == 1
    assert "Traceback" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (MachineTrouble("The disk hums."), 1, "The disk hums."),
        (OSError(28, "No space left on device", "/x"), 1, "/x: No space left on device. The disk is full. Free some space and do it again."),
        (PermissionError(13, "Permission denied", "/x"), 1, "/x: Permission denied. Give the user who starts Outcrop the right to it."),
        (MemoryError(), 1, "The memory of this machine does not suffice for this."),
    ],
)  # fmt: skip
def test_every_end_has_its_code(error: BaseException, code: int, sentence: str) -> None:
    found = failure(error)
    assert (found.code, found.sentence) == (code, sentence)


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    outcrop = f"{sys.executable} -m outcrop.cli.app"
    command = ["bash", "-c", line.replace("outcrop ", f"{outcrop} ")]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False)


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    ended = shell(
        "outcrop models --all | true; echo ${PIPESTATUS[0]}; outcrop models --all >&-", OUTCROP_HOME=str(tmp_path)
    )
    assert ended.stderr == b""
    assert ended.stdout in (b"141\n", b"0\n")  # the reader may have gone before the first line or after the last
    full = shell("outcrop models --all > /dev/full", OUTCROP_HOME=str(tmp_path))
    assert (full.returncode, full.stderr) == (
        1,
        b"outcrop: No space left on device. The disk is full. Free some space and do it again.\n",
    )


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    place = tmp_path / "俳句.jsonl"
    place.write_text('{"prompt": "古池や", "completion": 3}\n', "utf-8")
    ended = shell(
        f"outcrop check-data {place}; outcrop check-data {tmp_path}/春; outcrop --help > /dev/null",
        PYTHONIOENCODING="ascii", LC_ALL="C", OUTCROP_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    assert b"\\u4ff3\\u53e5.jsonl:1: completion: expected a string" in ended.stdout
    assert ended.stderr.endswith(b"\\u6625: no such file.\n")
    assert b"Traceback" not in ended.stderr


def test_ctrl_c_while_the_command_is_still_loading_shows_no_traceback() -> None:
    script = (
        "import os, signal, sys; sys.argv[1:] = ['models']\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nfrom outcrop.cli import app\n"
        + (
            "import builtins; load = builtins.__import__\n"
            "def interrupted(name, *rest, **more):\n"
            "    if name.startswith('cyclopts'): os.kill(os.getpid(), signal.SIGINT)\n"
            "    return load(name, *rest, **more)\n"
            "builtins.__import__ = interrupted\n"
            "app.main()\n"
        )
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr, ended.stdout) == (130, b"", b"")


def test_an_ascii_locale_reads_and_writes_utf8(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"prompt": "古池や", "completion": "蛙"}\n', "utf-8")
    ended = shell(
        f"outcrop check-data {tmp_path}/train.jsonl",
        PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C", OUTCROP_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_without_any_home_the_users_own_is_found() -> None:
    ended = shell(
        "env -u HOME -u OUTCROP_HOME outcrop models".replace(
            "outcrop models", f"{sys.executable} -m outcrop.cli.app models"
        )
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
