"""The output of each recipe is data that a job takes, and learning it lowers the loss of what was held out."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from outcrop.catalog.catalog import STARTER
from outcrop.datasets import preflight
from outcrop.recipes.dialogue import dialogue
from outcrop.recipes.dolly import dolly
from outcrop.recipes.feedback import feedback
from outcrop.recipes.recipe import Item, RecipeRun, within
from outcrop.recipes.split import PartSizes, Share
from outcrop.recipes.verse import verse
from outcrop.recipes.writing import write
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper, TrainingTask
from tests.support.small_tokenizers import TEST_DATA

FEW = PartSizes(train=Share(count=48), validation=Share(count=12))
