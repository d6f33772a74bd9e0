"""Several processes and threads at one database: each transition and each name has exactly one winner."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from outcrop.settings import Settings
from outcrop.store.resources import NameTaken, Resource, Stale
from outcrop.store.store import Store
from tests.support.patience import PATIENCE_S

NOW = datetime(2026, 5, 4, tzinfo=UTC)
ROUNDS = 40

PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from outcrop.settings import Settings
from outcrop.store.resources import NameTaken, Resource, Stale
from outcrop.store.store import Store

store = Store.open(Settings(home=Path(sys.argv[1])))
me, now = sys.argv[2], datetime(2026, 5, 4, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
"""
CLAIM_NAMES = """
for number in range(ROUNDS):
    try:
        store.resources.add(
            Resource(arn=f"{me}/{number}", kind="k", region="r", name=f"n{number}", created=now, updated=now)
        )
        print("won", number)
    except NameTaken:
        pass
"""
COUNT_UP = """
done = 0
while done < ROUNDS:
    row = store.resources.get("counter")
    try:
        store.resources.replace(row, at=now, document={"count": row.document["count"] + 1})
        done += 1
    except Stale:
        pass
print("done")
"""


def run_together(home: Path, program: str, how_many: int) -> list[list[str]]:
    """Start the processes, let all go at the same moment, and return what each printed."""
    source = PROGRAM + program.replace("ROUNDS", str(ROUNDS))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", source, str(home), f"p{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(how_many)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=PATIENCE_S)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * how_many
    return printed


def test_each_name_goes_to_exactly_one_process_also_in_a_new_database(tmp_path: Path) -> None:
    printed = run_together(tmp_path, CLAIM_NAMES, 3)

    won = sorted(int(line.split()[1]) for lines in printed for line in lines)
    assert won == list(range(ROUNDS))


def test_no_change_of_another_process_is_lost(tmp_path: Path) -> None:
    store = Store.open(Settings(home=tmp_path))
    store.resources.add(Resource(arn="counter", kind="k", region="r", created=NOW, updated=NOW, document={"count": 0}))

    run_together(tmp_path, COUNT_UP, 2)

    counter = store.resources.get("counter")
    store.close()
    assert counter is not None
    assert counter.document == {"count": 2 * ROUNDS}
    assert counter.version == 2 * ROUNDS + 1


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    store = Store.open(Settings(home=tmp_path))

    def claim(number: int) -> bool:
        try:
            store.resources.add(
                Resource(arn=f"{number}", kind="k", region="r", name=f"n{number % 5}", created=NOW, updated=NOW)
            )
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        won = list(threads.map(claim, range(60)))
    store.close()

    assert sum(won) == 5


def test_a_check_and_a_write_in_one_transaction_are_one_step(tmp_path: Path) -> None:
    # The way in which a create operation uses its request token
    store = Store.open(Settings(home=tmp_path))

    def create(number: int) -> str:
        with store.transaction():
            answer = store.idempotency.recall("Create", "token", "digest")
            if answer is None:
                answer = {"arn": f"a{number}"}
                store.resources.add(Resource(arn=answer["arn"], kind="k", region="r", created=NOW, updated=NOW))
                store.idempotency.remember("Create", "token", "digest", answer)
            return str(answer["arn"])

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(create, range(24)))
    made = [resource.arn for resource in store.resources.all("k")]
    store.close()

    assert answers == set(made)
    assert len(made) == 1


def test_a_stale_change_leaves_the_transaction_usable(tmp_path: Path) -> None:
    store = Store.open(Settings(home=tmp_path))
    row = store.resources.add(Resource(arn="a", kind="k", region="r", created=NOW, updated=NOW))
    store.resources.replace(row, at=NOW, status="Active")

    with store.transaction():
        with pytest.raises(Stale):
            store.resources.replace(row, at=NOW, status="Failed")
        store.tags.put("a", {"seen": "stale"})
    tags = store.tags.get("a")
    store.close()

    assert tags == {"seen": "stale"}
