"""`outcrop quotas`, as an administrator uses it on a home whose server may run."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop import settings as settings_of
from outcrop.cli.app import run
from outcrop.clock import MovableClock, SystemClock
from outcrop.deployments.model_units import MeasuredRate
from outcrop.deployments.states import ON_DEMAND, THROUGHPUT
from outcrop.house import House
from outcrop.settings import Settings

Ran = Callable[..., tuple[int, str, str]]
MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/x/abcdefghijkl"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with House.open(Settings(home=tmp_path / "home"), SystemClock()) as house:
        house.deployments.create(
            ON_DEMAND, name="verses", region="eu-west-1", account=house.account, model_arn=MODEL, details={}
        )
    return tmp_path / "home"


@pytest.fixture
def outcrop(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.setenv("OUTCROP_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "160")

    def ran(*words: str) -> tuple[int, str, str]:
        code = run(["quotas", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return ran


def test_quotas_are_set_listed_and_removed(outcrop: Ran) -> None:
    assert outcrop()[1] == "Nothing yet.\n"
    assert outcrop("set", "--user", "admin", "--requests", "60", "--tokens", "10000") == (
        0,
        "The user admin may take 60 requests and 10,000 tokens a minute.\n",
        "",
    )
    outcrop("set", "--user", "*", "--requests", "6")
    outcrop("set", "--model", "outcrop.starter-v1:0", "--tokens", "5000")
    outcrop("set", "--model", "verses", "--tokens", "500")
    assert outcrop()[1] == (
        "quota of  name                requests a minute  tokens a minute\n"
        "model     outcrop.starter-v1  any                5,000\n"
        "model     verses              any                500\n"
        "user      *                   6                  any\n"
        "user      admin               60                 10,000\n"
    )
    assert outcrop("remove", "--model", "outcrop.starter-v1:0")[0] == 0
    assert outcrop("remove", "--user", "*")[1] == "The user * has no quota any more.\n"
    assert [row["name"] for row in json.loads(outcrop("--json")[1])] == ["verses", "admin"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("set", "--requests", "5"), "Say whose quota it is: one of --user, --role, --key and --model."),
        (("set", "--user", "admin", "--key", "AKIA", "--requests", "5"), "Say whose quota it is"),
        (("set", "--user", "admin"), "user:admin: a quota limits requests or tokens a minute."),
        (("set", "--user", "admin", "--tokens", "0"), "0 tokens a minute are below the least value 1."),
        (("set", "--user", "nobody", "--tokens", "5"), "The user with name nobody cannot be found."),
        (("set", "--key", "AKIANOBODY", "--tokens", "5"), "there is no such access key"),
        (
            ("set", "--model", "no.such-v1", "--tokens", "5"),
            "there is no such base model, on-demand deployment or imported model",
        ),
        (("remove", "--user", "admin"), "user admin: there is no such quota."),
        (("measure-again", "outcrop.starter-v1"), "outcrop.starter-v1: it was not measured."),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(outcrop: Ran, words: tuple[str, ...], sentence: str) -> None:
    ended, out, err = outcrop(*words)
    assert sentence in err
    assert (ended, out) == (2, "")
    assert outcrop()[1] == "Nothing yet.\n"


def test_an_access_key_and_an_api_key_may_have_a_quota(outcrop: Ran, home: Path) -> None:
    with House.open(Settings(home=home), SystemClock()) as house:
        made, _ = house.access.service_credentials.create("admin", "bedrock.amazonaws.com", age_days=None)
        keys = [house.access.installation.access_key_id, made.id]
    for key in keys:
        assert outcrop("set", "--key", key, "--tokens", "5")[:2] == (0, f"The key {key} may take 5 tokens a minute.\n")
    assert sorted(row["name"] for row in json.loads(outcrop("--json")[1])) == sorted(keys)


def test_model_units_are_told_and_measured_again_on_demand(outcrop: Ran, home: Path) -> None:
    assert outcrop("units")[1] == "Nothing yet.\n"
    with House(Settings(home=home), MovableClock()) as house:
        house.units.write(
            MeasuredRate(
                network="outcrop.starter-v1",
                tokens_per_minute=20_400.0,
                measured=house.clock.now(),
                num_streams=8,
                seconds=2.0,
            )
        )
        details = {"modelUnits": 3}
        house.deployments.create(
            THROUGHPUT, name="pt", region="us-east-1", account="123456789012", model_arn=MODEL, details=details
        )
    assert outcrop("units")[1] == (
        "network             tokens a minute  of one unit  units taken  measured (UTC)\n"
        "outcrop.starter-v1  20,400           5,100        3 of 4       2026-01-01 00:00\n"
    )
    assert outcrop("measure-again", "outcrop.starter-v1")[0] == 0
    assert outcrop("units")[1] == "Nothing yet.\n"


def test_a_home_on_which_nothing_was_started_has_no_quotas_and_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["quotas", "--home", str(tmp_path / "none")]) == 1
    assert "nothing was ever started here. Run `outcrop up` first." in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("OUTCROP_IDLE_SECONDS", "", "idle", timedelta(minutes=5)),
        ("OUTCROP_IDLE_SECONDS", "0", "idle", timedelta(0)),
        ("OUTCROP_IDLE_SECONDS", "90", "idle", timedelta(seconds=90)),
        ("OUTCROP_PATIENCE_SECONDS", "", "patience", timedelta(seconds=45)),
        ("OUTCROP_PATIENCE_SECONDS", "0", "patience", timedelta(0)),
        ("OUTCROP_MODEL_UNITS", "", "model_units", 4),
        ("OUTCROP_MODEL_UNITS", "16", "model_units", 16),
    ],
)
def test_settings_of_serving_are_read(variable: str, text: str, name: str, value: object, tmp_path: Path) -> None:
    assert getattr(settings_of.read({variable: text}, home=tmp_path), name) == value
