"""Programs that take all they can, do not end, or leave a mess: each ends for a told reason.

Every day root starts them by one way and an ordinary user by the other; `make soak` has both start them by both.
"""

import secrets

import pytest

from tests.isolation.conftest import WAYS, Starter
from tests.support.products import product

STARTS = product(("root", "user"), WAYS, daily=lambda who, way: (who == "root") == (way == "bubblewrap"))
pytestmark = pytest.mark.parametrize(("starter", "way"), STARTS, indirect=True, scope="session")
MB = 1024**2


def test_a_program_that_ends_well_says_so(starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, program="print('done')")
    assert (answer["code"], answer["breach"], answer["output"]) == (0, None, "done\n")
    assert answer["reason"] == "It ended with status 0."


def test_the_status_and_the_signal_of_a_program_are_told(starter: Starter, way: str) -> None:
    assert starter.ask(way=way, program="raise SystemExit(3)")["reason"] == "It ended with status 3."
    ended = starter.ask(way=way, program="import os; os.kill(os.getpid(), 11)")
    assert (ended["code"], ended["reason"]) == (-11, "It ended by SIGSEGV.")


def test_a_program_that_is_not_there_ends_with_status_127(starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, command=["no-such-program"])
    assert answer["code"] == 127
    assert answer["output"].startswith("no-such-program could not be started: ")


def test_memory_without_end(starter: Starter, way: str) -> None:
    program = "kept = []\nwhile True: kept.append(b'x' * 2_000_000)"
    answer = starter.ask(way=way, program=program, limits={"memory_bytes": 200 * MB})
    assert (answer["breach"], answer["reason"]) == ("memory", "It was ended: it used more than 200 MB of memory.")


def test_memory_that_no_process_shows(starter: Starter, way: str) -> None:
    # Files in memory, held by a descriptor only: counted by a control group, or not to be had.
    program = (
        "import ctypes, os\n"
        "fd = os.memfd_create('x')\n"
        "while True: os.write(fd, b'x' * 2_000_000)"
    )  # fmt: skip
    answer = starter.ask(way=way, program=program, limits={"memory_bytes": 200 * MB})
    assert answer["breach"] == "memory" or "Function not implemented" in answer["output"], answer


def test_shared_memory_ends_at_half_of_the_limit(starter: Starter, way: str) -> None:
    program = (
        "written = 0\n"
        "with open('/dev/shm/x', 'wb', buffering=0) as file:\n"
        "    try:\n"
        "        while True: written += file.write(bytes(1024 * 1024))\n"
        "    except OSError as error: print(error.errno, written <= 50 * 1024 * 1024)"
    )
    answer = starter.ask(way=way, program=program, limits={"memory_bytes": 100 * MB})
    assert answer["output"] == "28 True\n", answer


def test_a_bomb_of_forks(starter: Starter, way: str) -> None:
    program = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    answer = starter.ask(way=way, program=program, limits={"num_processes": 40})
    assert answer["breach"] == "processes"
    assert answer["reason"] == "It was ended: it had 40 processes and threads at once."


def test_a_full_disk(starter: Starter, way: str) -> None:
    program = (
        "import itertools\n"
        "for number in itertools.count():\n"
        "    with open(f'/tmp/{number}', 'wb') as file: file.write(bytes(5_000_000))"
    )
    answer = starter.ask(way=way, program=program, limits={"disk_bytes": 20 * MB})
    assert (answer["breach"], answer["reason"]) == ("disk", "It was ended: it wrote more than 20 MB to disk.")


def test_one_large_file(starter: Starter, way: str) -> None:
    program = "file = open('/opt/ml/x', 'wb')\nwhile True: file.write(bytes(5_000_000))"
    answer = starter.ask(way=way, program=program, limits={"disk_bytes": 20 * MB})
    assert answer["breach"] == "disk", answer


def test_files_that_have_lost_their_names_count(starter: Starter, way: str) -> None:
    program = (
        "import itertools, os, time\n"
        "held = []\n"
        "for number in itertools.count():\n"
        "    held.append(open('/tmp/x', 'wb', buffering=0)); os.unlink('/tmp/x')\n"
        "    held[-1].write(bytes(5_000_000)); time.sleep(0.02)"
    )
    answer = starter.ask(way=way, program=program, limits={"disk_bytes": 50 * MB})
    assert answer["breach"] == "disk", answer


def test_many_empty_files_count(starter: Starter, way: str) -> None:
    program = "import itertools\nfor number in itertools.count(): open(f'/tmp/{number}', 'w').close()"
    answer = starter.ask(way=way, program=program, limits={"disk_bytes": 10 * MB})
    assert answer["breach"] == "disk", answer


def test_folders_within_folders_without_end(starter: Starter, way: str) -> None:
    program = "import os\nwhile True: os.mkdir('d'); os.chdir('d')"
    answer = starter.ask(way=way, program=program, limits={"disk_bytes": 500 * MB}, files=False)
    assert answer["reason"] == "It was ended: it made folders within folders, more than 100 deep."


def test_processor_time(starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, program="while True: pass", limits={"cpu_s": 1})
    assert answer["reason"] == "It was ended: it used more than 1 seconds of processor time."


def test_processor_time_of_children_that_have_ended(starter: Starter, way: str) -> None:
    program = (
        "import os, time\n"
        "while True:\n"
        "    if not os.fork():\n"
        "        until = time.process_time() + 0.3\n"
        "        while time.process_time() < until: pass\n"
        "        os._exit(0)\n"
        "    os.wait()"
    )
    assert starter.ask(way=way, program=program, limits={"cpu_s": 1})["breach"] == "cpu"


def test_many_open_files(starter: Starter, way: str) -> None:
    program = "held = []\nwhile True: held.append(open('/dev/null'))"
    answer = starter.ask(way=way, program=program, limits={"num_open_files": 100})
    assert "Too many open files" in answer["output"]


def test_megabytes_of_print_a_second_are_left_out_and_told(starter: Starter, way: str) -> None:
    program = (
        "import os, time\n"
        "until = time.monotonic() + 1\n"
        "while time.monotonic() < until: os.write(1, b'x' * 65536)\n"
        "time.sleep(1.5)\n"
        "print('the last line')"
    )
    answer = starter.ask(way=way, program=program, limits={"log_bytes_per_s": 100_000})
    assert answer["output_bytes"] < 100_000 * (2 + answer["seconds"])
    assert " bytes were printed here and left out: this program may print 100,000 bytes a second.]" in answer["output"]
    assert answer["output"].endswith("\nthe last line\n")


def test_every_line_before_the_end_is_kept(starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, program="import os\nfor n in range(20_000): print(n)\nos._exit(1)")
    assert answer["code"] == 1
    numbered = starter.ask(way=way, program="for n in range(3_000): print(n)")
    assert numbered["output"].splitlines() == [str(number) for number in range(3_000)]


def test_sigterm_reaches_the_program(starter: Starter, way: str) -> None:
    program = (
        "import signal, sys, time\n"
        "def end(*_): print('saved'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "time.sleep(60)"
    )
    answer = starter.ask(way=way, program=program, stop_after_s=1, grace_s=20)
    assert (answer["code"], answer["output"], answer["reason"]) == (0, "saved\n", "It ended with status 0.")


def test_a_program_that_does_not_hear_sigterm_is_ended_after_its_time_of_grace(starter: Starter, way: str) -> None:
    program = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True)\ntime.sleep(60)"
    )
    answer = starter.ask(way=way, program=program, stop_after_s=1, grace_s=0.5)
    assert (answer["code"], answer["output"], answer["reason"]) == (-9, "on\n", "It was ended.")
    assert answer["seconds"] < 20


@pytest.mark.parametrize("waiting", ["", "import time; time.sleep(60)"])
def test_nothing_that_it_started_outlives_it(waiting: str, starter: Starter, way: str) -> None:
    marker = secrets.token_hex(8)
    program = f"""
import os, subprocess, sys
for _ in range(5):
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.execv(sys.executable, [sys.executable, "-c", "import signal, time\\nfor n in range(1, 65):\\n    try: signal.signal(n, signal.SIG_IGN)\\n    except (OSError, ValueError): pass\\ntime.sleep(600)", "{marker}"])
        os._exit(0)
{waiting}
"""
    answer = starter.ask(way=way, program=program, marker=marker, stop_after_s=1)
    assert (answer["marked"], answer["first_lives"]) == ([], False)


def test_the_first_process_cannot_be_kept_from_ending_all(starter: Starter, way: str) -> None:
    program = """
import os, resource, signal, time
for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
    try: os.kill(1, number)
    except OSError: pass
for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA, resource.RLIMIT_NPROC):
    try: resource.prlimit(1, limit, (0, 0))
    except OSError: pass
try: os.setpriority(os.PRIO_PROCESS, 1, 19); os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))
except OSError: pass
print("tried", flush=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
    answer = starter.ask(way=way, program=program, stop_after_s=1, grace_s=0.5)
    assert answer["output"] == "tried\n"
    assert (answer["first_lives"], answer["seconds"] < 30) == (False, True)


def test_a_mess_of_rights_is_read_and_removed(starter: Starter, way: str) -> None:
    program = """
import os
os.makedirs("model/closed/inner"); os.makedirs("output")
open("model/closed/inner/weights", "w").write("weights"); open("model/tool", "w").write("#!/bin/sh")
os.chmod("model/tool", 0o6755)
for path, mode in (("model/closed/inner/weights", 0), ("model/closed/inner", 0), ("model/closed", 0o111)):
    os.chmod(path, mode)
open("output/failure", "w").write("why"); os.chmod("output/failure", 0)
"""
    answer = starter.ask(way=way, program=program, read=["output/failure"], pack=True)
    assert answer["read"] == {"output/failure": "why"}
    assert answer["files"] == ["model/closed/inner/weights", "model/tool", "output/failure"]
    assert answer["packed"]["paths"] == ["closed", "closed/inner", "closed/inner/weights", "tool"]


def test_links_that_it_left_lead_the_reader_nowhere(starter: Starter, way: str) -> None:
    program = """
import json, os, socket
world = json.loads(os.environ["WORLD"])
os.makedirs("model"); os.makedirs("output")
os.symlink(world["other_job"], "output/failure")
os.symlink(os.path.dirname(world["other_job"]), "model/folder")
os.symlink("../../../../.." + world["other_job"], "model/relative")
os.symlink("weights", "model/latest"); open("model/weights", "w").write("weights")
os.symlink(".", "model/here"); os.symlink("here/../../../jobs", "model/through")
os.mkfifo("model/pipe"); os.mkfifo("output/pipe")
socket.socket(socket.AF_UNIX).bind("model/socket")
os.symlink(os.path.dirname(world["other_job"]), "checkpoints")
"""
    read = ["output/failure", "output/pipe", "model/folder/secret", "checkpoints/secret", "model/weights"]
    answer = starter.ask(way=way, program=program, read=read, pack=True)
    assert answer["read"] == {**dict.fromkeys(read), "model/weights": "weights"}
    assert answer["files"] == ["model/weights"]
    assert answer["packed"] == {
        "paths": ["here", "latest", "weights"],
        "left_out": [
            "folder: a link that leads, or may lead, outside",
            "pipe: no file, folder or link",
            "relative: a link that leads, or may lead, outside",
            "socket: no file, folder or link",
            "through: a link that leads, or may lead, outside",
        ],
        "secret": False,
    }


def test_a_folder_to_start_in_that_is_not_there_is_told(starter: Starter, way: str) -> None:
    answer = starter.ask(way=way, program="", options={"folder": "/nowhere"})
    assert answer["code"] == 127
    assert answer["output"].endswith("No such file or directory: '/nowhere'\n")
