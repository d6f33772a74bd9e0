"""The picture of the house, held: imports go down the road, torch stays in the workshops, rooms have one address."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "outcrop"

FLOORS = [
    {"cli", "cluster", "console", "server", "worker"},
    {"api"},
    {"house"},
    {"kinds"},
    {"guardrails"},
    {"evaluation", "knowledge", "forgetting", "batch", "sagemaker"},
    {"invocation"},
    {"deployments"},
    {"customization", "model_import", "recipes"},
    {"engines", "invocation_logs", "trails"},
    {"data", "scaling", "vectors"},
    {"jobs", "catalog", "access", "buckets", "alarms"},
    {"metrics", "audit", "log_groups"},
    {"probe"},
    {"training", "inference"},
    {"datasets", "documents", "network", "music", "keys"},
    {"tokens", "store", "protocol", "loops", "json_files", "lifecycle"},
    {"arn", "clock", "settings", "machine", "isolation", "logs", "search"},
    {"errors", "private"},
]
TORCH = {"torch", "transformers", "safetensors", "peft"}
WORKSHOPS = {"network", "training", "inference", "probe"}

FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module of a file, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms <= FLOOR_OF.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_never_up_never_sideways(path: Path) -> None:
    own = room_of(path)
    for line, module in imports_of(path):
        if not module.startswith("outcrop.") or own == "__init__":
            continue
        room = module.split(".")[1]
        below = FLOOR_OF[room] > FLOOR_OF[own] or room == own
        assert below, f"{path}:{line}: {own} imports {module}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_stays_in_the_workshops(path: Path) -> None:
    may = room_of(path) in WORKSHOPS and str(path.relative_to(PACKAGE)) not in (
        "inference/client.py",
        "probe/launch.py",
    )
    for line, module in imports_of(path):
        assert may or module.split(".")[0] not in TORCH, f"{path}:{line}: {module} outside the workshops"


def test_grammars_are_compiled_in_the_engine_only() -> None:
    importing = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        for _, module in imports_of(path)
        if module.startswith(("llguidance", "outcrop.inference.grammars"))
    }
    assert importing == {"inference/grammars.py", "inference/engine.py", "inference/sampling.py"}


def test_packages_re_export_nothing() -> None:
    assert [path for path in PACKAGE.rglob("__init__.py") if path.read_text().strip()] == []


def test_only_the_run_of_a_job_reaches_into_training() -> None:
    reaching = {
        path.name
        for path in (PACKAGE / "customization").glob("*.py")
        for _, module in imports_of(path)
        if module.startswith(("outcrop.training.finetune", "outcrop.training.pretrain"))
    }
    assert reaching == {"run.py"}


def test_a_class_name_occurs_once() -> None:
    # Whoever looks for a name finds one thing. One that comes twice says too little in both places: name it anew.
    places = defaultdict(list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
