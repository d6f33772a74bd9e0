"""`python -m outcrop.probe.reference`: what a network that others trained gives, for its engine to be held against.

A model that a job here trains leaves the trainer's numbers behind; one that comes from elsewhere has none. They are
made here in the same way: by a plain forward over the whole text for each token, nothing remembered or shared.
"""

import argparse
import sys
import warnings
from pathlib import Path

from outcrop.errors import OutcropError
from outcrop.machine.processes import die_with_parent
from outcrop.network import load, parity_file
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.run_mode import RunMode
from outcrop.probe.sample_records import sample_examples
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import expectation
from outcrop.training.examples import ADAPTER


def write(base: Path, adapter: Path | None, *, way: RunMode, context: int, prompt_format: str, out: Path) -> None:
    """Write the parity file of the network in `base`, with the adapter on it where one is named. Raises Invalid."""
    network = load.load_base(base, way=way)
    routing = linear.hold_adapters(network)
    if adapter is not None:
        adapter_files.load(network, ADAPTER, adapter)
    examples = sample_examples(Tokenizer.open(base), prompt_format, context_length=context)
    found = expectation.of(network, routing, examples, context_length=context)
    out.write_text(parity_file.text(found), "utf-8")


def main() -> int:
    """Ends with a sentence on stderr where the network cannot be run."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m outcrop.probe.reference", description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--way", type=RunMode, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--format", required=True)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of a family's own code, which concern nobody here
    try:
        write(
            asked.base,
            asked.adapter,
            way=asked.way,
            context=asked.context,
            prompt_format=asked.format,
            out=asked.out,
        )
    except OutcropError as refused:
        print(refused.message, file=sys.stderr)
        return 1
    print("{}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
