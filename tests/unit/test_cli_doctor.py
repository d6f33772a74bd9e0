"""`outcrop doctor`, read as somebody does who sees it for the first time, in a terminal of 80 columns."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.cli import doctor
from outcrop.cli.listening import free_port
from outcrop.deployments import usage
from outcrop.deployments.states import THROUGHPUT
from outcrop.engines.launchers import Load
from outcrop.engines.orders import Order
from outcrop.machine import memory
from outcrop.metrics.traffic import Ended, InvocationCount
from outcrop.settings import PARTS_FILE, Settings
from tests.support.engines_room import EnginesRoom
from tests.support.serving_house import ServingHouse


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(memory, "total", lambda: 8 * 2**30)
    monkeypatch.setattr(memory, "available", lambda: 6 * 2**30)
    monkeypatch.setattr(memory, "resident", lambda _pid: 0)  # the tests' own process holds what it holds


def test_a_machine_on_which_nothing_was_started_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "new"
    assert doctor.print_findings(Settings(home=home), EnginesRoom(tmp_path).clock, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    labels = [line.split(" ")[0] for line in lines if line and line[0] != " "]
    assert labels[:7] == ["machine", "memory", "disk", "sandbox", "programs", "running", "budget"]
    assert "memory     8.0 GiB, 6.0 GiB of it free" in lines
    assert "running    nothing; `outcrop up` starts everything" in lines
    assert "budget     7.0 GiB for engines and trainings, 0 MiB of it held" in lines
    assert lines[-1] == "Nothing is wrong."
    assert not home.exists()


def test_engines_trainings_and_those_who_wait_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room = EnginesRoom(tmp_path)
    room.use("local.summaries-v1")
    room.reservations.ask("arn:aws:bedrock:us-east-1:1:job/x", "the training haiku", 420_000_000)
    room.rounds(2)
    room.launcher.processes["local.summaries-v1"].running = 1
    room.rounds(6)
    room.order("local.chat-v1")
    room.rounds(2)
    port = free_port("127.0.0.1")
    told = {"endpoint": f"http://127.0.0.1:{port}", "memoryBytes": room.sharing.budget_bytes, "parts": {}}
    (tmp_path / "home" / PARTS_FILE).write_text(json.dumps(told))

    room.clock.move(timedelta(minutes=3))
    settings = Settings(home=tmp_path / "home")
    assert doctor.print_findings(settings, room.clock, as_json=False) == 1
    text = capsys.readouterr().out
    shown = text[text.index("engine  ") :]
    assert shown == (
        "engine              state    memory   last used\n"
        "local.summaries-v1  Ready    401 MiB  3 min ago\n"
        "local.chat-v1       Ordered  none     never\n"
        "\n"
        "training  state  memory\n"
        "haiku     runs   401 MiB\n"
        "\n"
        "The engine of local.chat-v1 waits for 401 MiB of memory; 801 MiB of 841 MiB are\n"
        "held, by the engine of local.summaries-v1 (401 MiB, in use) and the training\n"
        "haiku (401 MiB, running).\n"
        "\n"
        f"wrong: The server does not answer at http://127.0.0.1:{port}. Its log is\n"
        f"       {tmp_path / 'home' / 'logs' / 'server.log'}.\n"
    )
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 80

    assert doctor.print_findings(replace(settings, memory_limit=1), room.clock, as_json=True) == 1
    findings = json.loads(capsys.readouterr().out)
    assert findings["memory"] == {"budgetBytes": room.sharing.budget_bytes, "heldBytes": 840_004_000}
    assert [one["state"] for one in findings["engines"]] == ["Ready", "Ordered"]
    assert findings["engines"][1]["waits"].startswith("The engine of local.chat-v1 waits for 401 MiB")


def test_deployments_are_told_with_what_they_hold_and_since_when_nobody_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ServingHouse(tmp_path / "home")
    try:
        asleep, awake = (place.deploy(place.custom_model(mark), name=mark).arn for mark in ("asleep", "awake"))
        bought = place.deploy(place.custom_model("own", own_network=True), name="bought", kind=THROUGHPUT).arn
        place.settle_all()
        place.deploy(place.custom_model("bad"), name="broken")
        place.settle_all()
        place.house.units.write(
            replace(place.house.units.all()[0], tokens_per_minute=20_400.0)  # as fast on every machine
        )
        invoked = InvocationCount(asleep, "Invocations", 1.0, 1, 1)
        place.house.traffic.note(Ended("bedrock-runtime", "Converse", 200), 1.0, place.clock.now(), invoked)
        place.house.traffic.pass_on(place.house.points)
        place.house.points.flush()
        place.pass_time(290, step=10)
        place.ask(awake)
        place.pass_time(60, step=10)
        assert bought
        monkeypatch.setattr(usage, "load_of", lambda order: _load_of(place, order))
        told = {"endpoint": "http://127.0.0.1:9", "memoryBytes": place.house.sharing.budget_bytes, "parts": {}}
        (tmp_path / "home" / PARTS_FILE).write_text(json.dumps(told))
        doctor.print_findings(place.settings, place.clock, as_json=False)
        text = capsys.readouterr().out
        shown = text[text.index("deployment  ") : text.index("wrong: ")]
        assert shown == (
            "deployment  kind       status     in memory  last used\n"
            "asleep      on demand  Active     no         5 min ago\n"
            "awake       on demand  Active     yes        1 min ago\n"
            "broken      on demand  Failed     no         never\n"
            "bought      1 unit     InService  yes        5 min ago\n"
            "\n"
            "A model unit of outcrop.starter-v1 is 5,100 tokens a minute, as measured on\n"
            "2026-01-01.\n"
            "\n"
        )
        doctor.print_findings(place.settings, place.clock, as_json=True)
        findings = json.loads(capsys.readouterr().out)
        assert [each["inMemory"] for each in findings["deployments"]] == [False, True, False, True]
        assert findings["modelUnits"][0]["tokensPerMinuteOfOneUnit"] == 5100
    finally:
        place.close()


def _load_of(place: ServingHouse, order: Order) -> Load | None:
    """What the engine would tell at its socket."""
    process = place.launcher.processes.get(order.name)
    load = None if process is None else place.launcher.load(order)
    return None if load is None or process is None else load._replace(adapters=place.fleet.of(process).uses.told())


def test_too_little_memory_and_an_engine_that_does_not_start_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2**20)
    room = EnginesRoom(tmp_path)
    room.order("a")
    room.engines.give_up("a", "The engine of a does not start: a: no weights.")
    (tmp_path / "home" / PARTS_FILE).write_text(
        json.dumps({"endpoint": "http://127.0.0.1:9", "memoryBytes": 2**30, "parts": {}})
    )
    wrong = doctor.examine(Settings(home=tmp_path / "home"), room.clock).wrong
    assert wrong[0] == (
        "Engines and trainings may take 1.0 GiB more, and this machine has 1 MiB free: other programs hold the rest. "
        "End some, or set OUTCROP_MEMORY_LIMIT lower."
    )
    assert wrong[-1] == "The engine of a does not start: a: no weights."
