"""Threads and random states of a run: fixed while it lasts, so that equal runs give equal bits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from outcrop.training.data_parallel.ranks import Ranks
from outcrop.training.task import TrainingHyper


@contextmanager
def settled(hyper: TrainingHyper, ranks: Ranks) -> Iterator[None]:
    """Set torch's threads, seed and modes while a run lasts. Ranks share the threads of a machine evenly."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    # Without a workspace of its own cuBLAS is not deterministic, and torch refuses it:
    # https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(hyper.seed)
        torch.set_num_threads(max(1, (hyper.threads or threads) // ranks.size))
        torch.use_deterministic_algorithms(True)
        # Filling new memory with NaN would find a read before the first write; it also costs a tenth of the time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)
