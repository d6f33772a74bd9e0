"""`python -m outcrop.inference.serve`: one base model with its adapters, or one encoder, behind a Unix socket.

The process knows no records, only folders and names. It answers from its first moment (503 while the model loads), ends
in order at SIGTERM, and ends when the process that started it is gone. One JSON line per call goes to stderr; no prompt
and no answer ever stands in it.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from outcrop import logs, private
from outcrop.errors import Invalid, OutcropError
from outcrop.inference.adapters_in_use import AdaptersInUse
from outcrop.inference.door import EngineDoor
from outcrop.inference.encoder_paths import EncoderPaths
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.unix_http import UnixServer
from outcrop.loops import contained
from outcrop.machine import allocator, openmp
from outcrop.machine.processes import allow_many_files
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import RunMode
from outcrop.network.weight_precision import WeightPrecision

if TYPE_CHECKING:
    from outcrop.inference.encoder_engine import EncoderEngine
    from outcrop.inference.engine import Engine
    from outcrop.network.weight_files import OpenFile

_GRACE_S = 5.0
"Calls in progress may still end for so long after SIGTERM."
_TIDY_EVERY_S = 10.0
_TIDY_LEAST_S = 0.25

_log = logging.getLogger("outcrop.engine")


def main() -> None:
    """Serve until told to end."""
    parent = os.getppid()  # before anybody can see the socket, and end the parent
    arguments = _arguments()
    arguments.keys = os.environ.pop(private.MODEL_KEYS, "")  # not for what this process starts
    private.only_ours()
    allow_many_files()
    os.environ.update(openmp.for_serving())
    logs.write_json_lines()
    try:
        status = asyncio.run(_serve(arguments, parent))
    except OutcropError as problem:
        logs.tell(_log, "engine cannot start", level=logging.ERROR, ends_with=_said(problem, arguments))
        status = 1
    sys.stderr.flush()
    # A thread still importing or loading would crash in the interpreter's last moments; there is nothing left to save.
    os._exit(status)


async def _serve(arguments: argparse.Namespace, parent: int) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    watch = asyncio.create_task(_end_with_parent(parent, ended))
    engine = EngineThread(lambda: _load(arguments))
    paths = None
    if arguments.task is not ModelTask.TEXT:
        paths = EncoderPaths(engine, base_name=arguments.name, task=arguments.task).paths
    door = EngineDoor(engine, base_name=arguments.name, adapters=_adapters(arguments), paths=paths)
    server = UnixServer(arguments.socket, door.answer)
    await server.start()
    loaded = asyncio.create_task(_report_loading(engine, arguments))
    ending = asyncio.create_task(_first(ended, door.work.over))
    await asyncio.wait((ending, loaded), return_when=asyncio.FIRST_COMPLETED)
    could_load = not loaded.done() or loaded.result()
    if could_load:
        tidying = asyncio.create_task(_let_idle_adapters_go(door, arguments.idle_seconds))
        await asyncio.wait((ending, engine.broken), return_when=asyncio.FIRST_COMPLETED)
        tidying.cancel()
    await server.close(_GRACE_S if could_load else 0)
    watch.cancel()
    engine.stop(timeout_s=1 if engine.ready else 0)
    logs.tell(_log, "engine ended", base=arguments.name)
    return 0 if could_load and not engine.broken.done() else 1


def _adapters(arguments: argparse.Namespace) -> AdaptersInUse:
    """The adapters' bounds: an eighth of the memory, and the time that one stays unused.

    A quarter of the memory is the cache's, and most of the rest is the network's.
    """
    return AdaptersInUse(most_bytes=arguments.memory_bytes // 8, idle_s=arguments.idle_seconds)


async def _let_idle_adapters_go(door: EngineDoor, idle_s: int) -> None:
    while True:
        await asyncio.sleep(min(_TIDY_EVERY_S, max(idle_s / 4, _TIDY_LEAST_S)))
        if idle_s and door.is_ready:
            with contained(_log, "taking out idle adapters"):
                await door.let_idle_adapters_go()


async def _first(*events: asyncio.Event) -> None:
    """Until one of the events is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def _report_loading(engine: EngineThread, arguments: argparse.Namespace) -> bool:
    started, base = time.monotonic(), arguments.name
    try:
        await engine.loaded
    except Exception as problem:
        trace = None if isinstance(problem, OutcropError) else problem
        said = _said(problem, arguments)
        logs.tell(_log, "base model cannot be loaded", level=logging.ERROR, exc_info=trace, base=base, ends_with=said)
        return False
    logs.tell(_log, "engine ready", base=base, seconds=round(time.monotonic() - started, 3), pid=os.getpid())
    return True


def told(problem: Exception, *, folder: str, name: str) -> str:
    """Why the engine ends, for whoever waits for it: customers, who need not know where the files lie."""
    if isinstance(problem, OutcropError):
        return str(problem).replace(folder, name)
    return "its files cannot be loaded; the engine's log has the details"


def _said(problem: Exception, arguments: argparse.Namespace) -> str:
    return told(problem, folder=str(arguments.model), name=arguments.name)


def _load(arguments: argparse.Namespace) -> "Engine | EncoderEngine":
    """On the engine's thread: torch is imported here, and its number of threads belongs to the thread that sets it."""
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.task is not ModelTask.TEXT:
        if arguments.weights is not WeightPrecision.FP32:
            raise Invalid(f"{arguments.name}: weights in {arguments.weights} are for models that write text.")
        from outcrop.inference.encoder_engine import EncoderEngine

        return EncoderEngine(arguments.model, way=arguments.way)
    from outcrop.inference.engine import Engine

    engine = Engine(
        arguments.model,
        cache_bytes=arguments.cache_bytes or _usual_cache_bytes(arguments.memory_bytes),
        way=arguments.way,
        context=arguments.context or None,
        weights=arguments.weights,
        proof=arguments.socket.with_suffix(".proof"),
        open_file=_opener(arguments.keys),
    )
    settle()
    return engine


def _opener(keys: str) -> "OpenFile | None":
    """The opener of the network's sealed weights; None where they are not sealed."""
    if not keys:
        return None
    from outcrop.keys.sealed_folder import OpenedKeys  # most engines decrypt nothing

    return OpenedKeys.of_text(keys).open


def settle() -> None:
    """After loading: give back what loading held, and have the collector pass over what stays from now on.

    Else it looks at all of torch and transformers again and again, while answers are made.
    """
    gc.collect()
    gc.freeze()
    allocator.give_back()


def _usual_cache_bytes(memory_bytes: int) -> int:
    """A quarter of what the accelerator has free, or else of the memory that engines share: others live here too."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0] // 4
    return (memory_bytes or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 4


async def _end_with_parent(parent: int, ended: asyncio.Event) -> None:
    """Sets `ended` when the parent process is gone, however it died.

    Not PR_SET_PDEATHSIG: that fires when the *thread* that started us ends, and a server starts processes from threads
    of a pool, which come and go.
    """
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    logs.tell(_log, "parent process is gone", level=logging.WARNING, parent=parent)
    ended.set()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m outcrop.inference.serve", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face directory of the base model")
    parser.add_argument("--name", required=True, help="the base model's id, as requests name it")
    parser.add_argument("--socket", type=Path, required=True, help="path of the Unix socket")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves the choice to torch")
    parser.add_argument("--cache-bytes", type=int, default=0, help="limit of the KV cache; 0: a quarter of the memory")
    parser.add_argument("--memory-bytes", type=int, default=0, help="what all engines share; 0: the machine's memory")
    parser.add_argument("--idle-seconds", type=int, default=0, help="so long an unused adapter stays; 0: for ever")
    parser.add_argument("--way", type=RunMode, default=RunMode.PACKED, help="in which the network is run")
    parser.add_argument("--task", type=ModelTask, default=ModelTask.TEXT, help="what the network answers with")
    parser.add_argument("--context", type=int, default=0, help="context length; 0: as the network's configuration says")
    weights = "numbers in which its weights are kept"
    parser.add_argument("--weights", type=WeightPrecision, default=WeightPrecision.FP32, help=weights)
    return parser.parse_args()


if __name__ == "__main__":
    main()
