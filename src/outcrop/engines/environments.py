"""Environments of other kinds of engines: vLLM in a Python of its own, with the base models for it.

The administrator adds one (`outcrop engines add vllm`); everything else runs on the embedded engine.
"""

from dataclasses import dataclass
from pathlib import Path

from outcrop.clock import Clock
from outcrop.engines.states import EngineKind
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "engine-environment"
DTYPES = ("bfloat16", "float16", "float32")
"In which vLLM may compute; it leaves float32 to processors."
_EVERYWHERE = "local"
_ACTIVE = "Active"


@dataclass(frozen=True, kw_only=True)
class VllmEnvironment:
    """vLLM as it is installed on this machine, and what is to run on it."""

    python: Path
    "The interpreter of its environment."
    models: tuple[str, ...]
    "Ids of the base models that run on it, with the custom models over them."
    dtype: str = DTYPES[0]
    "One of DTYPES. It is always said, for the parity gate allows as much as its rounding explains, and no more."
    arguments: tuple[str, ...] = ()
    "Further arguments of `vllm serve`."
    on_cpu: bool = False
    "Whether it is a build for processors."


class EngineEnvironments:
    """The environments of an installation, on record."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._resources = store.resources
        self._clock = clock

    def vllm(self) -> VllmEnvironment | None:
        """vLLM's environment; None where none was added. Raises Damaged."""
        row = self._resources.find(KIND, _EVERYWHERE, EngineKind.VLLM)
        if row is None:
            return None
        with understood(row.arn):
            told = row.document
            return VllmEnvironment(
                python=Path(told["python"]),
                models=tuple(map(str, told["models"])),
                dtype=str(told["dtype"]),
                arguments=tuple(map(str, told["arguments"])),
                on_cpu=bool(told["onCpu"]),
            )

    def kind_for(self, model_id: str) -> EngineKind:
        """The kind of engine on which a base model runs."""
        vllm = self.vllm()
        return EngineKind.VLLM if vllm is not None and model_id in vllm.models else EngineKind.EMBEDDED

    def add(self, environment: VllmEnvironment) -> None:
        """Keep an environment, in the place of one that was there."""
        self.remove()
        now = self._clock.now()
        document = {
            "python": str(environment.python),
            "models": list(environment.models),
            "dtype": environment.dtype,
            "arguments": list(environment.arguments),
            "onCpu": environment.on_cpu,
        }
        row = Resource(
            arn=_arn(),
            kind=KIND,
            region=_EVERYWHERE,
            name=EngineKind.VLLM.value,
            status=_ACTIVE,
            created=now,
            updated=now,
            document=document,
        )
        self._resources.add(row)

    def remove(self) -> bool:
        """Forget vLLM's environment; False where there is none."""
        return self._resources.remove(_arn())


def _arn() -> str:
    return f"{KIND}/{EngineKind.VLLM.value}"
