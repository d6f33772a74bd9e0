"""The console's port and its links on the command line."""

import socket
from pathlib import Path

import pytest

from outcrop.cli.console_link import with_console_port
from outcrop.cli.listening import PortTaken, check_console_port
from outcrop.errors import Invalid
from outcrop.settings import Settings, read


def test_a_port_that_nobody_asked_for_gives_way_to_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(home=tmp_path, console_port=port)
        assert with_console_port(settings, None).console_port != port
        asked = with_console_port(settings, port)
        with pytest.raises(PortTaken, match=r"the console cannot listen there.*--console-port"):
            check_console_port(asked)
    with pytest.raises(Invalid, match="--console-port: 70000 is out of range"):
        with_console_port(settings, 70_000)


def test_the_address_behind_a_proxy_is_the_one_that_is_told(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).console_endpoint == "http://127.0.0.1:4581"
    given = {"OUTCROP_CONSOLE_URL": "https://lab.example/outcrop/", "OUTCROP_CONSOLE": "0"}
    told = read(given, home=tmp_path)
    assert (told.console_endpoint, told.console) == ("https://lab.example/outcrop", False)
    with pytest.raises(Invalid, match=r"OUTCROP_CONSOLE_URL: 'lab\.example' is no address"):
        read({"OUTCROP_CONSOLE_URL": "lab.example"}, home=tmp_path)
