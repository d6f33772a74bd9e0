"""The lineage of a custom model as a tree: its base model, and what was trained from it, and when."""

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len

from outcrop.datasets.record_file import TRAINING
from outcrop.forgetting.family import FamilyMember, ModelFamily

_WIDTH = 80
_TYPES = {
    "FINE_TUNING": "fine-tuning",
    "CONTINUED_PRE_TRAINING": "continued pre-training",
    "IMPORTED": "imported from a checkpoint",
}


def tree_of(family: ModelFamily, member: FamilyMember) -> dict[str, Any]:
    """The base model, and below it the line that leads to this model and what was made from that."""
    line = family.line(member)
    node = _node(family, member, below=[_below(family, child) for child in family.children(member)])
    node["asked"] = True
    for parent in reversed(line[:-1]):
        node = _node(family, parent, below=[node])
    return {"name": line[0].start_arn.partition("/")[2], "arn": line[0].start_arn, "models": [node]}


def text_of(tree: dict[str, Any]) -> str:
    """The tree in 80 columns, except for names that are longer than these."""
    start = "deleted custom model" if ":custom-model/" in tree["arn"] else "base model"
    lines = (line for node in tree["models"] for line in _lines(node, "", last=True))
    return "\n".join([f"{tree['name']}  {start}", *lines])


def _below(family: ModelFamily, member: FamilyMember) -> dict[str, Any]:
    return _node(family, member, below=[_below(family, child) for child in family.children(member)])


def _node(family: ModelFamily, member: FamilyMember, *, below: list[dict[str, Any]]) -> dict[str, Any]:
    known = member.lineage
    document = {} if known is None else known.document
    forgets = family.forgets(member)
    before = None if forgets is None else family.member(forgets)
    return {
        "name": member.name,
        "arn": member.arn,
        "type": member.told["customizationType"],
        "created": member.created.isoformat(),
        "steps": document.get("result", {}).get("steps"),
        "forgets": forgets if before is None else before.name,
        "data": []
        if known is None
        else [
            {"uri": source.uri, "sha256": source.sha256, **_counts(member, part)}
            for part, source in enumerate(known.data, start=TRAINING)
        ],
        "asked": False,
        "models": below,
    }


def _counts(member: FamilyMember, part: int) -> dict[str, int | None]:
    assert member.lineage is not None
    if not member.lineage.knows_records:
        return {"records": None, "set_aside": None}
    records = aside = 0
    for known in member.lineage.records(part):
        records += 1
        aside += known.set_aside
    return {"records": records, "set_aside": aside}


def _lines(node: dict[str, Any], indent: str, *, last: bool) -> Iterator[str]:
    head = f"{indent}{'└─ ' if last else '├─ '}"
    inner = f"{indent}{'   ' if last else '│  '}"
    bar = f"{inner}{'│  ' if node['models'] else '   '}"
    yield from _fitting(f"{head}{node['name']}{' *' if node['asked'] else ''}", _what(node), bar)
    if node["forgets"]:
        yield from _fitting(f"{bar}without records of {node['forgets']}", "", bar)
    for number, data in enumerate(node["data"]):
        use = "learned" if number == TRAINING else "validated on"
        yield from _fitting(f"{bar}{use} {data['uri']}", _size(data), f"{bar}  ")
    for number, child in enumerate(node["models"], start=1):
        yield from _lines(child, inner, last=number == len(node["models"]))


def _what(node: dict[str, Any]) -> str:
    steps = "" if node["steps"] is None else f", {node['steps']:,} steps"
    return f"{_TYPES.get(node['type'], node['type'])} {node['created'][:16].replace('T', ' ')}{steps}"


def _size(data: dict[str, Any]) -> str:
    if data["records"] is None:
        return f"SHA-256 {data['sha256'][:12]}"
    aside = f", {data['set_aside']:,} set aside" if data["set_aside"] else ""
    return f"{data['records']:,} records{aside}, SHA-256 {data['sha256'][:12]}"


def _fitting(first: str, then: str, indent: str) -> Iterator[str]:
    """The two texts on one line where they fit, else the second one on the next."""
    if not then or cell_len(first) + 2 + cell_len(then) <= _WIDTH:
        yield f"{first}  {then}".rstrip()
    else:
        yield first
        yield f"{indent}{then}"
