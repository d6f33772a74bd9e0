"""`make bench-serve-gpu`: vLLM behind an installation's door beside vLLM alone, and our own engine beside it, on a GPU.

"Alone" is the same vLLM, asked at its own socket. Without a GPU nothing is measured, and the rows say so; `--quick`
runs all of it on a tiny network with whatever vLLM `--python` has.
"""

import argparse
import tempfile
from pathlib import Path

from bench import train_data
from bench.measuring import Row, environment, higher_is_better, report
from bench.serve_house import door_rows, in_turns, tokens_per_s, up
from bench.train import has_gpu

PACKAGES = ("vllm",)
KEEPS = 0.97
UNMEASURED = ("vLLM behind the door; vLLM alone", "our own engine; vLLM alone")


def main() -> None:
    given = arguments()
    if not (has_gpu() or given.quick):
        report("serve-gpu", [], [f"{name}: not measured, no NVIDIA GPU answers here." for name in UNMEASURED])
        return
    report(f"serve-gpu{'-quick' if given.quick else ''}", measured(given))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, help="of an environment that has vLLM; by default one is made")
    parser.add_argument("--dtype", default="bfloat16", help="in which vLLM computes")
    parser.add_argument("--turns", type=int, default=3, help="of each side; medians count")
    parser.add_argument("--streams", type=int, default=64, help="at once")
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--shape", choices=sorted(train_data.SHAPES), default="qwen05", help="of the network")
    parser.add_argument("--quick", action="store_true", help="a tiny network and few streams: proves that this runs")
    given = parser.parse_args()
    if given.quick:
        given.shape, given.streams, given.tokens, given.turns = "tiny", 4, 8, 1
    return given


def measured(given: argparse.Namespace) -> list[Row]:
    python = given.python or environment("vllm-gpu", PACKAGES)
    with tempfile.TemporaryDirectory() as place:
        engine = ("vllm", "--python", str(python), "--dtype", given.dtype)
        with up(Path(place), given.shape, *engine) as home:
            turns = in_turns(home, given)
    with tempfile.TemporaryDirectory() as place, up(Path(place), given.shape) as home:
        own = in_turns(home, given)
    alone, ours = (tokens_per_s(each[f"engine {given.streams}"]) for each in (turns, own))
    name = f"{given.streams} streams, our own engine; vLLM"
    return [
        *door_rows(turns, given, keeps=KEEPS),
        higher_is_better(name, ours=ours, peer=alone, unit="tokens/s", goal=0.0),
    ]


if __name__ == "__main__":
    main()
