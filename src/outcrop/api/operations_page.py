"""docs/operations.md, made from the tables: `python -m outcrop.api.operations_page > docs/operations.md`."""

from outcrop.api.operations import OPERATIONS
from outcrop.protocol import service_model

_HEAD = """# Operations

Made from the code by `python -m outcrop.api.operations_page`. Every operation of these services is known by name, its
request is read and checked; one that does not work is answered with an error that says so.

| service | operations that work | of |
|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    services = service_model.SERVICES
    return _HEAD + "".join(map(_row, services)) + "".join(map(_table, services))


def _row(service: str) -> str:
    known = len(service_model.load(service).operation_names)
    return f"| [{service}](#{service}) | {len(OPERATIONS.get(service, {}))} | {known} |\n"


def _table(service: str) -> str:
    built = OPERATIONS.get(service, {})
    names = service_model.load(service).operation_names
    rows = "".join(f"| {name} | {'yes' if name in built else 'no'} |\n" for name in names)
    return f"\n## {service}\n\n| operation | works |\n|---|---|\n{rows}"


if __name__ == "__main__":
    print(page(), end="")
