"""Two sandboxes that share a network: they reach each other by their names, and share nothing else."""

from tests.isolation.conftest import Starter

LISTENING = """
import os, socket
open("/opt/ml/mine", "w").close()
with socket.create_server(("algo-1", 7777)) as server:
    connection, (address, _) = server.accept()
    print(connection.recv(100).decode(), address)
    connection.sendall(b"welcome")
"""
CONNECTING = """
import os, socket, time
until = time.monotonic() + 30
while True:
    try:
        connection = socket.create_connection(("algo-1", 7777), source_address=("algo-2", 0))
        break
    except ConnectionRefusedError:
        assert time.monotonic() < until
        time.sleep(0.05)
connection.sendall(socket.gethostname().encode())
print(connection.recv(100).decode(), os.listdir("/opt/ml"), sum(name.isdigit() for name in os.listdir("/proc")))
"""
ESCAPING = """
import json, os, socket
world = json.loads(os.environ["WORLD"])
for address in ("127.0.0.1", "127.0.0.2", world["address"] or "127.0.0.1"):
    try:
        socket.create_connection((address, world["port"]), 2)
        print("reached")
    except OSError as error:
        print("held")
"""


def test_they_reach_each_other_by_their_names_and_see_nothing_else(starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, program=LISTENING, beside=CONNECTING)
    assert answer["codes"] == [0, 0], answer
    assert answer["output"] == "algo-2 127.0.0.2\n"
    # Its own folder is empty, and there are two processes: the first one, and itself.
    assert answer["beside"] == "welcome [] 2\n"


def test_the_machines_network_stays_out_of_reach_for_both(starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, program=ESCAPING + "import time; time.sleep(3)", beside=ESCAPING)
    assert (answer["output"], answer["beside"]) == ("held\n" * 3, "held\n" * 3), answer


def test_the_second_stays_when_the_first_ends_and_none_comes_afterwards(starter: Starter, way: str) -> None:
    staying = "import socket, time\ntime.sleep(1)\nsocket.create_server(('algo-2', 7778)).close()\nprint('still here')"
    answer = starter.ask(way=way, program="print('gone')", beside=f"{staying}\n")
    if "trouble" in answer:  # it was gone before the second was there
        assert answer["trouble"] == "The sandbox whose network is to be shared has ended."
        return
    assert answer["beside"] == "still here\n"
    assert answer["afterwards"] == "The sandbox whose network is to be shared has ended."
