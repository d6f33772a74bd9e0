"""`outcrop register ADAPTER`: a PEFT directory becomes a custom model of the base that it names."""

import re
import shutil
import sys
from pathlib import Path

from outcrop import arn
from outcrop.catalog import custom_model_states
from outcrop.clock import SystemClock
from outcrop.customization import adopted
from outcrop.customization.names import check_model_name
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.settings import DEFAULT_REGION, Settings
from outcrop.store.resources import Resource

_LONGEST_NAME = 63
_REGION = re.compile(r"[a-z0-9-]{1,20}")


def register_adapter(
    settings: Settings, folder: Path, *, name: str | None, base: str | None, region: str | None
) -> Resource:
    """Check the adapter against its base, compute what it should answer, and put the model on record.

    Raises Invalid, MachineTrouble.
    """
    folder = folder.expanduser().absolute()
    region = region or DEFAULT_REGION
    if not _REGION.fullmatch(region):
        raise Invalid(f"--region: {region!r} is no region. Name one such as {DEFAULT_REGION}.")
    wanted = _name(name or folder.name)
    with House.open(settings, SystemClock()) as house:
        check_model_name(house, wanted, region)
        found = adopted.with_tried_base(adopted.look_at(folder, house.catalog, base=base), house.catalog)
        model_arn = arn.bedrock(region, house.account, f"{custom_model_states.KIND}/imported/{arn.new_id()}")
        place = house.models.folder(model_arn)
        adopted.put_in_place(found, place, told=lambda words: print(f"{words} …", file=sys.stderr))
        try:
            house.models.add(
                model_arn=model_arn,
                name=wanted,
                region=region,
                created=house.clock.now(),
                document=found.document(region, source=str(folder)),
            )
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return house.models.find(region, model_arn)


def _name(given: str) -> str:
    """A custom model's name in Bedrock's form. Raises Invalid."""
    name = re.sub(r"[^0-9A-Za-z]+", "-", given).strip("-")[:_LONGEST_NAME].rstrip("-")
    if not name:
        raise Invalid(f"{given!r}: no name of a custom model can be made of it. Give one with --name.")
    return name
