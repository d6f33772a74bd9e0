"""Random weights for a network that is described and has none yet: those its family begins with, by a seed."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from outcrop.errors import Invalid
from outcrop.network.adapters import full_weights


def write(folder: Path, *, seed: int) -> int:
    """Write weights beside the config.json in `folder`, in fp32; returns how many numbers they are.

    The same seed gives the same bits. Raises Invalid for a configuration of which no network can be made.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(seed)
            network: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError, ZeroDivisionError) as error:
        first = str(error).partition("\n")[0][:300]
        raise Invalid(
            f"hyperParameters.outcrop.width: no {config.model_type} network can be made of these sizes ({first}). "
            "Leave outcrop.width and outcrop.layers out, or choose others."
        ) from error
    full_weights.write_weights(folder, network, network.state_dict())
    return sum(parameter.numel() for parameter in network.parameters())
