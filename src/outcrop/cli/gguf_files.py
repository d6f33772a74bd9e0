"""`outcrop register FILE.gguf`: the file converted into the home, once and for all, and registered from there."""

import shutil
from pathlib import Path

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.cli.fetching import check_id, id_from, register_folder
from outcrop.errors import Invalid
from outcrop.network.gguf import importing
from outcrop.settings import Settings, make_home

CONVERTED = "converted"
"The folder of the home in which converted models lie."


def register_gguf(
    settings: Settings, file: Path, *, model_id: str | None, name: str | None, context: int | None = None
) -> BaseModel:
    """Convert the file, try the network, and add it. Raises Invalid, MachineTrouble."""
    file = file.expanduser().absolute()
    wanted = check_id(model_id) if model_id else id_from(file.stem)
    folder = settings.home / CONVERTED / wanted.replace(":", "-")
    catalog = Catalog(settings.home)
    if catalog.find(wanted) is not None:
        raise Invalid(f"{wanted}: this id is in the catalogue already. Choose another with --id.")
    shutil.rmtree(folder, ignore_errors=True)  # of one that was refused, or killed, after it was converted
    make_home(settings)
    conversion = importing.convert(file, folder)
    try:
        return register_folder(
            settings,
            folder,
            model_id=wanted,
            name=name or conversion.name,
            context=context,
            licence=conversion.licence or "see where the file came from",
            notes=conversion.loss,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
