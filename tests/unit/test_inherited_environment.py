"""The root key and the database's address reach the processes that open the database, and no other."""

import ast
import os
import sys
import time
from pathlib import Path

import pytest

from outcrop import private
from outcrop.keys import root_key
from outcrop.machine.child import Child
from outcrop.machine.environment import inherited
from outcrop.settings import Settings

PACKAGE = Path(__file__).parents[2] / "src" / "outcrop"
SECRET = "5a" * 32
_WITH_ALL = {
    "keys/root_key.py": "the program that prints the root key",
    "machine/prepared.py": "what becomes the server",
}
"""Files whose children get the whole environment, and why."""


def started_in(path: Path) -> list[int]:
    """The lines at which a child is started that inherits everything."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = ast.unparse(node.func)
        starts = name in ("subprocess.Popen", "subprocess.run", "subprocess.check_output", "subprocess.check_call")
        if (starts and not any(each.arg == "env" for each in node.keywords)) or name in ("os.system", "os.popen"):
            found.append(node.lineno)
    return found


def test_no_child_inherits_everything() -> None:
    # What runs inside of a sandbox was given its environment by whoever made that; it has none of ours.
    places = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        if "inside" not in path.parts and str(path.relative_to(PACKAGE)) not in _WITH_ALL
        for line in started_in(path)
    }
    assert places == set()


def test_a_child_gets_no_root_key_unless_it_is_given_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = private.ROOT_KEY, private.ROOT_KEY_COMMAND, private.NEW_ROOT_KEY, private.NEW_ROOT_KEY_COMMAND
    for name in (*keys, private.DATABASE_URL):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OUTCROP_TOLD", "yes")
    (tmp_path / "tells.py").write_text("import json, os\nprint(json.dumps(dict(os.environ)))")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    assert SECRET not in inherited().values()

    def told(environment: dict[str, str]) -> str:
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        child = Child("tells", "tells", [], log=log, environment=environment, is_ready=lambda _: True)
        child.keep_alive()
        until = time.monotonic() + 60
        while child.alive and time.monotonic() < until:
            time.sleep(0.01)
        child.end()
        return log.read_text()

    assert "OUTCROP_TOLD" in (without := told({}))
    assert SECRET not in without
    settings = Settings(home=tmp_path, root_key=SECRET, database_url=f"postgresql://somebody:{SECRET}@host/records")
    given = root_key.variables(settings)
    assert given == {private.ROOT_KEY: SECRET}
    assert settings.database_variables == {private.DATABASE_URL: settings.database_url}
    assert Settings(home=tmp_path).database_variables == {}
    assert SECRET in told(given)
