"""Fork servers of one installation: libraries that are read before the first engine, or training, needs them."""

from pathlib import Path

from outcrop.machine import allocator, openmp
from outcrop.machine.child import Child
from outcrop.settings import Preload, Settings

_LOADING = "outcrop.network.first_load"
_ENGINE = (
    "outcrop.inference.engine", "outcrop.inference.door", "transformers.models.llama.modeling_llama", _LOADING,
)  # fmt: skip
_TRAINING = ("outcrop.customization.run", "outcrop.worker.work", "outcrop.house", _LOADING)
_SERVERS = {Preload.ENGINES: ("engine-fork-server",), Preload.ALL: ("engine-fork-server", "worker-fork-server")}


def training_environment() -> dict[str, str]:
    """The variables that a worker's libraries read when they are imported."""
    return allocator.for_tensors() | openmp.for_training()


def serving_environment() -> dict[str, str]:
    """The variables that an engine's libraries read when they are imported."""
    return allocator.for_tensors() | openmp.for_serving()


def socket_for(settings: Settings, role: str) -> Path | None:
    """The socket of the fork server for a role, `engine` or `worker`; None where nothing is preloaded for it."""
    if settings.fork_server is not None:
        return settings.fork_server
    name = f"{role}-fork-server"
    return _socket(settings, name) if name in _SERVERS.get(settings.preload, ()) else None


def fork_servers(settings: Settings) -> dict[str, Child]:
    """The fork servers that an installation starts for itself, by name, none of them started yet."""
    if settings.fork_server is not None:
        return {}
    return {name: _server(settings, name) for name in _SERVERS.get(settings.preload, ())}


def _server(settings: Settings, name: str) -> Child:
    place = _socket(settings, name)
    place.unlink(missing_ok=True)
    serves = name.startswith("engine")
    return Child(
        name,
        "outcrop.machine.fork_server",
        ["--socket", str(place), *(_ENGINE if serves else _TRAINING)],
        log=settings.logs / f"{name}.log",
        environment=serving_environment() if serves else training_environment(),
        is_ready=lambda _: place.exists(),
    )


def _socket(settings: Settings, name: str) -> Path:
    return settings.sockets / f"{name}.sock"
