"""docs/operations.md, made from the tables: `python -m outcrop.api.operations_page > docs/operations.md`."""

from outcrop.api.operations import OPERATIONS
from outcrop.protocol import service_model

_HEAD = """# Operations

Made from the code by `python -m outcrop.api.operations_page`. Every operation of these services is known by name;
one that is not in the second column is answered with an error that says so.

| service | built | of |
|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_row(service) for service in service_model.SERVICES)


def _row(service: str) -> str:
    built = sorted(OPERATIONS.get(service, {}))
    known = len(service_model.load(service).operation_names)
    return f"| {service} | {', '.join(built) or 'none yet'} | {len(built)} of {known} |\n"


if __name__ == "__main__":
    print(page(), end="")
