"""The tests of numbers as on other processors: `python -m tests.processors`.

torch, MKL and oneDNN choose their code by the processor, each for itself, and are told here to do as on an older one; so
a machine with the newest instructions sees what one with AVX2 alone, or without it, does. The variants run side by
side, a thread each. Whole runs, estimates, the probe's processes and what deals rows and positions out are left out: they
ask nothing of a processor that the others do not.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

_TESTS = ["tests/numerics", "tests/unit/test_kernel_library.py"]
_LEFT_OUT = [
    "test_ranks.py", "test_training_runs.py", "test_training_estimate.py", "test_training_tracing.py",
    "test_training_flops.py", "test_workload.py", "test_tokenizers_equal_transformers.py", "test_probe.py",
    "test_ways.py", "test_method_runs.py", "test_rotary_lengths.py", "test_lanes.py",
    "test_engine_sharing.py", "test_gguf.py", "test_grammar_rows.py", "test_idle_adapters.py",
    "test_sentence_transformers.py", "test_from_zero.py",
]  # fmt: skip
_CPUINFO = Path("/proc/cpuinfo")
_NO_COMPILER = "/nonexistent"
"A search path on which no compiler is found: the C kernels are done without, all other fast ways are not."


class Variant(NamedTuple):
    """Another processor, or another way on this one."""

    name: str
    environment: dict[str, str]
    capability: str
    "What torch calls it."


AVX2 = Variant(
    "AVX2 only, with the C kernels, one thread",
    {
        "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OMP_NUM_THREADS": "1",
    },
    "AVX2",
)  # fmt: skip
OLDEST = Variant(
    "no AVX, without the C kernels, one thread",
    {
        "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OMP_NUM_THREADS": "1", "PATH": _NO_COMPILER,
    },
    "DEFAULT",
)  # fmt: skip


def main() -> None:
    """Run every variant that this processor can be; exit with 1 if one of them fails."""
    variants = [OLDEST]
    if _CPUINFO.is_file() and {"avx2", "fma"} <= set(_CPUINFO.read_text().split()):
        variants.append(AVX2)
    else:
        print(f"{AVX2.name}: left out, this processor has no AVX2")
    began = time.monotonic()
    running = [(variant, _start(variant)) for variant in variants]
    failed = False
    for variant, process in running:
        said, _ = process.communicate()
        failed |= process.returncode != 0
        told = said if process.returncode else said.strip().rpartition("\n")[2]
        print(f"{variant.name} (after {time.monotonic() - began:.0f} s): {told}", flush=True)
    sys.exit(1 if failed else 0)


def _start(variant: Variant) -> "subprocess.Popen[str]":
    environment = os.environ | variant.environment
    capability = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    found = subprocess.run(
        [sys.executable, "-c", capability], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == variant.capability, f"{variant.name}: torch computes as on {found.stdout.strip()}"
    ignored = [f"--ignore=tests/numerics/{name}" for name in _LEFT_OUT]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *ignored, *_TESTS]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


if __name__ == "__main__":
    main()
