"""GET /outcrop/catalogue: every base model of the catalogue, its size, and whether this machine can serve and train it.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET …/outcrop/catalogue
    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET …/outcrop/catalogue?model=outcrop.starter-v1

Bedrock lists what can be used now; this tells of models that wait for a pull too, with the catalogue's figures about
them. Memory is what the engine is started with and what a job is refused by. With `model` it is one entry, and the
hyperparameters that it takes. It is shown to whoever may do `outcrop:ListCatalogue`.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outcrop.api.own.operation import OwnCall
from outcrop.catalog import model_files
from outcrop.catalog.base_model import BaseModel
from outcrop.customization import memory
from outcrop.customization.choices import hyperparameters, methods
from outcrop.engines.estimate import bytes_for
from outcrop.errors import Invalid, ModelDamaged, NotFound
from outcrop.network import headers
from outcrop.network.adapters.method import DEFAULT
from outcrop.network.model_task import ModelTask

HERE, HUB, REMOTE, GONE, NAME = "HERE", "HUB", "REMOTE", "GONE", "NAME"
"On this machine; on a hub, to be pulled; asked where it is; its folder is gone; known by name, for an alias."
_METHODS = ("lora", "dora", "oft", "full")
_ELSEWHERE = "see "
"A licence that begins so is none on record: it names the place where one has to look."


def list_catalogue(call: OwnCall) -> dict[str, Any]:
    """Raises a refusal for who may not know, NotFound for no entry."""
    call.allowed("outcrop:ListCatalogue")
    house, wanted = call.house, call.one("model")
    serving, training = house.sharing.budget_bytes, house.sharing.most()
    told: dict[str, Any] = {
        "budgetBytes": serving,
        "trainingBytes": training,
        "diskFreeBytes": shutil.disk_usage(house.settings.home).free,
    }
    if not wanted:
        models = [_told(entry, serving=serving, training=training) for entry in house.catalog.entries()]
        return told | {"models": models}
    entry = house.catalog.find(wanted)
    if entry is None:
        raise NotFound(f"model: {wanted} is not in the catalogue. `outcrop models --all` lists it.")
    return told | {"models": [_told(entry, serving=serving, training=training) | _hyperparameters(entry)]}


def _told(entry: BaseModel, *, serving: int, training: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": entry.id,
        "name": entry.name,
        "provider": entry.provider,
        "task": entry.task.value,
        "contextLength": entry.context_length,
        "licence": "" if entry.licence.startswith(_ELSEWHERE) else entry.licence,
        "languages": list(entry.languages),
        "customizations": [each.value for each in entry.customizations],
        "state": _state(entry),
        "standsFor": entry.engine if entry.weights.alias is not None else "",
        "repository": entry.weights.hub or "",
        "host": entry.remote.host if entry.remote is not None else "",
        "pullBytes": entry.pull_bytes,
        "refused": entry.verdict.why if entry.verdict is not None and entry.verdict.way is None else "",
    }
    try:
        return told | _sizes(entry, serving=serving, training=training)
    except ModelDamaged as damaged:
        return told | {"parameters": 0, "diskBytes": 0, "serve": None, "train": [], "refused": damaged.message}


def _state(entry: BaseModel) -> str:
    if entry.remote is not None:
        return REMOTE
    if entry.folder is not None:
        return HERE
    if entry.weights.hub is not None:
        return HUB
    return GONE if entry.weights.directory is not None else NAME


def _sizes(entry: BaseModel, *, serving: int, training: int) -> dict[str, Any]:
    """Counted in the files where they are here; else as the catalogue tells, and memory as it follows from that."""
    folder = entry.folder
    parameters = entry.parameters if folder is None else headers.num_parameters(folder)
    files = {} if folder is None else model_files.files_of(folder)
    told = {"parameters": parameters, "diskBytes": sum(path.stat().st_size for path in files.values())}
    if not parameters:
        return told | {"serve": None, "train": []}
    needed = bytes_for(parameters)
    is_trained = bool(entry.customizations) and entry.engine_task is ModelTask.TEXT
    return told | {
        "serve": {"bytes": needed, "fits": needed <= serving},
        "train": [_training(name, folder, parameters, training) for name in _METHODS] if is_trained else [],
    }


def _training(name: str, folder: Path | None, parameters: int, most: int) -> dict[str, Any]:
    """The least that a method needs, beside its rows; `why`: it does not go with the network at all."""
    method, why = methods.method_of({"outcrop.method": name}, None), ""
    if folder is None:
        needed = memory.need_of_size(parameters, method=method).total
    else:
        needed = memory.need(folder, method=method).total
        try:
            headers.check_method(folder, method)
        except Invalid as refusal:
            why = refusal.message
    return {"method": name, "bytes": needed, "fits": not why and needed <= most, "why": why}


def _hyperparameters(entry: BaseModel) -> dict[str, Any]:
    """The hyperparameters that a job on the entry takes, and those that it has where nothing is said."""
    family, extra = hyperparameters.read_family(entry.hyperparameters), hyperparameters.read_family("extra")
    taken = {
        name: {
            "default": allowed.default,
            "range": allowed.range,
            "words": list(allowed.words),
            **({} if allowed.words else {"least": allowed.least, "most": allowed.most}),
        }
        for name, allowed in {**extra.allowed, **family.allowed}.items()
    }
    return {"hyperparameters": taken, "relativeRate": family.relative_rate, "used": _used(entry)}


def _used(entry: BaseModel) -> Mapping[str, str]:
    """The values of a job that leaves everything open, by our names; none for a model elsewhere."""
    if entry.folder is None or not entry.customizations:
        return {}
    values = hyperparameters.filled(entry.hyperparameters, {})
    rate = memory.suitable_rate(entry, None)
    hyper = hyperparameters.resolve(entry.hyperparameters, values, recommended_rate=rate).hyper
    found = {
        **hyperparameters.used(values, hyper),
        "epochCount": str(hyper.epochs),
        "batchSize": str(hyper.batch_size),
        "learningRateWarmupSteps": str(hyper.warmup_steps),
        "outcrop.evalPercentage": f"{hyper.held_out_percentage:g}",
        "outcrop.seed": str(hyper.seed),
        "outcrop.rank": str(DEFAULT.rank),
    }
    return found | ({} if hyper.patience is None else {"outcrop.earlyStoppingPatience": str(hyper.patience)})
