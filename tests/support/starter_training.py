"""A few steps of the starter model on the records of a recipe: what preflight says of them, and what they teach."""

from pathlib import Path

from outcrop.catalog.catalog import Catalog
from outcrop.datasets import preflight
from outcrop.datasets.records import Customization
from outcrop.datasets.report.value import Report
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune, pretrain
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper, TrainingTask

QUICK = TrainingHyper(epochs=1, batch_size=4, learning_rate=2e-3, threads=1, evaluations_per_epoch=1)


def check_that_it_teaches(records: Path, customization: Customization, place: Path) -> Report:
    """The report on a recipe's output, which is without problems and lowers the loss of what was held out."""
    train, validation = records / "train.jsonl", records / "validation.jsonl"
    starter = Catalog(place / "home").usable("outcrop.starter-v1")
    assert starter.folder is not None
    report = preflight.examine(
        [train, validation],
        tokenizer=Tokenizer.open(starter.folder),
        context_length=starter.context_length,
        customization=customization,
    )
    assert report.problems == ()
    assert all(file.num_records and not file.duplicates and not file.overlap for file in report.files)
    task = TrainingTask(
        base_dir=starter.folder,
        base_name="starter",
        parent_adapter=None,
        train=train,
        validators=(validation,),
        customization=customization,
        hyper=QUICK,
        run_dir=place / "run",
        output_dir=place / "trained",
    )
    stage = finetune if customization == "FINE_TUNING" else pretrain
    (held_out,) = stage.train(task, Hooks()).validators
    assert held_out.custom.loss < held_out.base.loss
    return report
