"""The training task of a job on record."""

from pathlib import Path

from outcrop.customization import memory
from outcrop.customization.base import Start
from outcrop.customization.choices import hyperparameters, initialize
from outcrop.customization.rooms import Rooms
from outcrop.keys.sealed_folder import PLAIN, FolderSeal
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.training.task import TrainingTask


def task_of(
    house: Rooms,
    job: Resource,
    start: Start,
    *,
    files: list[Path],
    encoded: list[Path],
    prompt_format: PromptFormat,
    run_dir: Path,
    output_dir: Path,
    seal: FolderSeal | None = None,
    notes: tuple[str, ...] = (),
) -> TrainingTask:
    """`files` are the training data and the validators, `encoded` what these were encoded to.

    `run_dir` is where checkpoints may lie, and `output_dir` where the model is made; `seal` seals both. `notes` tell
    what the network begins with.
    """
    document, base = job.document, start.base
    assert base.folder is not None
    assert base.way is not None, "a network is tried before it is trained"
    at_random = initialize.random_start(document["hyperParameters"])
    rate = memory.suitable_rate(base, at_random)
    resolved = hyperparameters.resolve(
        base.hyperparameters, document["hyperParameters"], recommended_rate=rate, parent=start.method
    )
    return TrainingTask(
        base_dir=base.folder,
        base_name=base.engine,
        base_owner=base.owner,
        parent_adapter=house.models.adapter(start.parent.arn) if start.parent else None,
        train=files[0],
        validators=tuple(files[1:]),
        encoded=tuple(encoded),
        customization=document["customizationType"],
        hyper=hyperparameters.with_threads(resolved.hyper, house.settings.threads),
        prompt_format=prompt_format,
        run_dir=run_dir,
        output_dir=output_dir,
        way=base.way,
        context_length=base.told_context,
        begins_at_random=at_random is not None,
        seal=seal,
        keys=house.models.keys(start.parent.arn) if start.parent is not None else PLAIN,
        notes=(*notes, *resolved.notes),
    )
