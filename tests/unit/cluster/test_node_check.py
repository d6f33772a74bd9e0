"""A node that lacks what a worker needs is refused by name, and says how to mend it."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from outcrop.cluster import node_check, serve
from outcrop.errors import Invalid, MachineTrouble
from outcrop.settings import Settings, checked_cluster


def test_a_node_that_sees_the_home_may_run_jobs(tmp_path: Path) -> None:
    asked = node_check.demand(tmp_path, is_sqlite=True)
    assert node_check.check(asked, name="10.0.0.2", sent_at=time.time()) is None


def test_a_node_without_the_home_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    asked = node_check.demand(home, is_sqlite=False)
    (home / node_check.FOLDER / "token").write_text("of another home")
    told = node_check.check(asked, name="10.0.0.2", sent_at=time.time())
    assert told == f"10.0.0.2: {home} is another home there. Mount the shared one at this path."
    shutil.rmtree(home)
    told = node_check.check(asked, name="10.0.0.2", sent_at=time.time())
    assert told is not None
    assert told.startswith(f"10.0.0.2: it does not see the home {home} (No such file or directory). Mount it there")


def test_another_machine_needs_a_database_server_the_same_program_and_the_time(tmp_path: Path) -> None:
    asked = node_check.demand(tmp_path, is_sqlite=True)

    def told(**other: str | bool) -> str:
        found = node_check.check(replace(asked, **other), name="n", sent_at=time.time() - 42)  # type: ignore[arg-type]
        assert found is not None
        return found

    assert told(machine="another").startswith("n: the records are in SQLite, which one machine alone may open. Set")
    assert (
        told(machine="another", is_sqlite=False) == "n: its clock is +42 s away. Synchronise the clocks of the nodes."
    )
    assert "this installation has 9.9 and" in told(outcrop="9.9")


def test_a_root_key_from_the_environment_is_sent_over_no_network(tmp_path: Path) -> None:
    with pytest.raises(MachineTrouble, match=r"sent over no network\. Give OUTCROP_ROOT_KEY_COMMAND"):
        serve.check_root_key(Settings(home=tmp_path, root_key="5a" * 32))
    told = serve.variables(Settings(home=tmp_path, root_key_command="pass outcrop"))
    assert told["OUTCROP_ROOT_KEY_COMMAND"] == "pass outcrop"


def test_an_address_is_auto_or_a_host_with_its_port() -> None:
    assert [checked_cluster("--cluster", text) for text in ("auto", "10.0.0.1:6379", "")] == [
        "auto",
        "10.0.0.1:6379",
        "",
    ]
    with pytest.raises(Invalid, match=r"--cluster: 'ray://head:10001' is no address of a Ray cluster\. Give auto, for"):
        checked_cluster("--cluster", "ray://head:10001")
