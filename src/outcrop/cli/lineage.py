"""`outcrop lineage`: where a custom model comes from and what was made from it, as a tree."""

import json

from outcrop.cli import export
from outcrop.cli.model_export import find_model
from outcrop.clock import SystemClock
from outcrop.forgetting.family import ModelFamily
from outcrop.forgetting.tree import text_of, tree_of
from outcrop.house import House
from outcrop.settings import Settings


def print_lineage(settings: Settings, identifier: str, *, region: str | None, as_json: bool) -> int:
    """Raises NotFound."""
    with House(settings, SystemClock()) as house:
        model = find_model(house.store, identifier, region)
        family = ModelFamily(export.client(settings, "bedrock", model.region), house.models)
        member = family.member(model.arn)
        assert member is not None, "it was found just now"
        tree = tree_of(family, member)
    print(json.dumps(tree, indent=2, ensure_ascii=False) if as_json else text_of(tree))
    return 0
