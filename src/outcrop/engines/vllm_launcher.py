"""vLLM's launcher: its server in another environment, behind a Unix socket, for each base model chosen.

The arguments: https://docs.vllm.ai/en/latest/cli/serve/; the numbers: https://docs.vllm.ai/en/latest/usage/metrics/.
vLLM does not say since when it has been idle, so that is kept here. It cannot be told to take no more requests either:
one that is to leave leaves when it is idle.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from outcrop.engines import launchers
from outcrop.engines.environments import EngineEnvironments, VllmEnvironment
from outcrop.engines.launchers import Launcher, LauncherByKind, Load, LocalLauncher, RemoteLauncher, Standing
from outcrop.engines.orders import Order
from outcrop.engines.program_launcher import ProgramLauncher
from outcrop.engines.states import EngineKind
from outcrop.errors import MachineTrouble
from outcrop.keys.sealed_content import OpenKey
from outcrop.machine import memory
from outcrop.machine.child import Child
from outcrop.settings import Settings

_GIB = 2**30
MAX_ADAPTERS = 8
"Adapters of one batch; more are kept, and take turns."
MAX_RANK = 64
"Of an adapter; what is reserved grows with it. `--max-lora-rank` among the environment's arguments says otherwise."
_RUNNING = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_ANSWERED = "vllm:request_success_total"


class _Counted(NamedTuple):
    """Requests that an engine had answered, and when that number was last another."""

    answered: int
    since: float


def every_kind(
    settings: Settings,
    environments: EngineEnvironments,
    *,
    memory_bytes: int,
    fork_server: Path | None = None,
    open_key: OpenKey | None = None,
) -> Launcher:
    """The launcher of every kind of engine on this machine; `memory_bytes` is what all may hold together.

    `fork_server`: the process that engines of this program are forked from. `open_key` opens data keys of sealed
    models.
    """
    return LauncherByKind(
        {
            EngineKind.EMBEDDED: LocalLauncher(
                settings, memory_bytes=memory_bytes, fork_server=fork_server, open_key=open_key
            ),
            EngineKind.VLLM: VllmLauncher(settings, environments, memory_bytes=memory_bytes),
            EngineKind.PROGRAM: ProgramLauncher(settings),
            EngineKind.REMOTE: RemoteLauncher(),
        }
    )


class VllmLauncher:
    """Engines of vLLM as child processes of this one."""

    def __init__(
        self,
        settings: Settings,
        environments: EngineEnvironments,
        *,
        memory_bytes: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._environments = environments
        self._memory_bytes = memory_bytes
        self._now = now
        self._orders: dict[str, Order] = {}
        self._children: dict[str, Child] = {}
        self._counted: dict[str, _Counted] = {}
        self._retired: set[str] = set()

    @property
    def children(self) -> list[Child]:
        return list(self._children.values())

    def start(self, order: Order) -> None:
        """Raises MachineTrouble where vLLM's environment was taken away meanwhile."""
        environment = self._environments.vllm()
        if environment is None:
            raise MachineTrouble("vLLM's environment is gone. Add it again: outcrop engines add vllm --python PATH")
        assert order.socket is not None, "an engine of this machine has a socket"
        name = f"engine-{order.name.replace(':', '-')}"
        child = Child(
            name,
            "outcrop.engines.vllm_process",
            ["--socket", str(order.socket), "--python", str(environment.python), "--", *arguments(order, environment)],
            log=self._settings.logs / f"{name}.log",
            environment=self._variables(environment),
            is_ready=partial(launchers.is_ready, order.socket),
        )
        self._orders[order.name], self._children[order.name] = order, child
        self._counted[order.name] = _Counted(0, self._now())
        child.keep_alive()

    def end(self, name: str) -> None:
        self._children.pop(name).end()
        self._retired.discard(name)
        del self._orders[name], self._counted[name]

    def retire(self, name: str) -> bool:
        """Let it end if it does nothing now; a request of this very moment is put again by its sender."""
        load, pid = self.load(self._orders[name]), self._children[name].pid
        if load is None or load.running or pid is None:
            return False
        os.kill(pid, signal.SIGTERM)  # which takes it seconds, in which others are watched
        self._retired.add(name)
        return True

    def keep_alive(self) -> None:
        for name, child in self._children.items():
            if name not in self._retired:
                child.keep_alive()

    def standings(self) -> dict[str, Standing]:
        return {name: self._standing(name, child) for name, child in self._children.items()}

    def load(self, order: Order) -> Load | None:
        told = launchers.ask(order.socket, "GET", "/metrics")
        if told is None:
            return None
        text = told.decode(errors="replace")
        running, answered = sum(total(text, name) for name in _RUNNING), total(text, _ANSWERED)
        before = self._counted.get(order.name, _Counted(0, self._now()))
        if running or answered != before.answered:
            self._counted[order.name] = before = _Counted(answered, self._now())
        return Load(running, answered, self._now() - before.since)

    def _standing(self, name: str, child: Child) -> Standing:
        pid = child.pid
        return Standing(
            folder=self._orders[name].folder,
            ready=child.ready and child.alive,
            gone=name in self._retired and not child.alive,
            held_bytes=memory.resident_tree(pid) if pid is not None else 0,
            failure=self._settings.hidden(child.reason()) if launchers.is_given_up(child) else None,
            kind=EngineKind.VLLM,
        )

    def _variables(self, environment: VllmEnvironment) -> dict[str, str]:
        cache = max(1, min(4, self._memory_bytes // (8 * _GIB)))
        return {
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            # GiB; a GPU has --gpu-memory-utilization instead.
            "VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", str(cache)),
            # vLLM would tell its makers how it is used, and ask the hub: nothing leaves this machine by itself.
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "HF_HUB_OFFLINE": "1",
            # Such a build is not told by vLLM's own name, and then it would look for an accelerator.
            **({"VLLM_TARGET_DEVICE": "cpu"} if environment.on_cpu else {}),
            **({"OMP_NUM_THREADS": str(self._settings.threads)} if self._settings.threads else {}),
        }


def arguments(order: Order, environment: VllmEnvironment) -> list[str]:
    """The arguments of `vllm serve` for an engine; the environment's own come last, and win."""
    return [
        "--model", str(order.folder),
        "--served-model-name", order.name,
        "--uds", str(order.socket),
        "--dtype", environment.dtype,
        # A request that leaves a value out wants what changes nothing, and not what generation_config.json recommends.
        "--generation-config", "vllm",
        "--scheduling-policy", "priority",
        "--enable-lora",
        "--max-loras", str(MAX_ADAPTERS),
        "--max-lora-rank", str(MAX_RANK),
        *(["--max-model-len", str(order.context)] if order.context else []),
        *environment.arguments,
    ]  # fmt: skip


def total(metrics: str, name: str) -> int:
    """The sum of a metric over its labels, in Prometheus' text; 0 where there is none."""
    found = 0.0
    for line in metrics.splitlines():
        if line.startswith(name) and line[len(name) : len(name) + 1] in ("{", " "):
            found += float(line.rpartition(" ")[2])
    return int(found)
