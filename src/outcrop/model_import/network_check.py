"""A whole network from somebody else, checked file by file and then tried, before anything serves it.

Names, sizes and shapes are read from headers. What loads the network is a process of its own with limits, and has
memory of the machine's budget for as long as it runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from outcrop.catalog import model_files
from outcrop.catalog.model_folder import check_folder
from outcrop.engines.sharing import MemorySharing
from outcrop.errors import Invalid
from outcrop.network import encoder_facts, facts, headers, shape_check, vocabulary
from outcrop.network.adapters.method import CONFIG_FILE
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import RunMode
from outcrop.probe import launch
from outcrop.tokens.prompt_format import chat_problem
from outcrop.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class CheckedNetwork:
    """A network that runs here."""

    architecture: str
    has_template: bool
    "Whether it has a template for conversations that can be used."
    num_parameters: int
    context_length: int
    way: RunMode
    config: str
    "Digest of the configuration that was tried."


def checked(folder: Path) -> Tokenizer:
    """The tokenizer of the network in `folder`, once every file is what it should be. Raises Invalid."""
    if (folder / CONFIG_FILE).exists():
        raise Invalid(
            f"{CONFIG_FILE}: an adapter, and whole networks are imported. Merge it into its base first, or make a "
            "custom model of it: CreateCustomModel."
        )
    model_files.check_no_code(folder)
    check_folder(folder)
    if (task := encoder_facts.task_of(folder)) is not ModelTask.TEXT:
        raise Invalid(
            f"config.json: a network for {task}, and models that write text are imported. Add it to the catalogue "
            "with `outcrop register`."
        )
    shape_check.check(folder)
    tokenizer = Tokenizer.open(folder)
    vocabulary.check(folder, tokenizer)
    return tokenizer


def tried(
    folder: Path,
    tokenizer: Tokenizer,
    sharing: MemorySharing,
    *,
    owner: str,
    title: str,
    interrupted: Callable[[], bool],
    check: Callable[[], None],
    told: Callable[[str], None],
) -> CheckedNetwork:
    """The network in `folder`, run once. Raises Invalid for one that does not run.

    `owner` and `title` name who holds the memory meanwhile; `check` may raise once there is some.
    """
    told("waiting for memory to try the network")
    with sharing.held(owner, title, launch.needed_bytes(folder), until=interrupted, waits=told):
        check()
        told("trying the network")
        probed = launch.demand(folder)
    described = facts.read(folder)
    assert probed.verdict.way is not None, "demanded"
    length = probed.context or (described.context if described.has_context else None)
    if length is None:
        raise Invalid(
            "config.json: names no context length, as recurrent networks do not, and an imported model needs one. Add "
            "max_position_embeddings."
        )
    return CheckedNetwork(
        architecture=described.kind,
        has_template=tokenizer.chat_template is not None and chat_problem(tokenizer) is None,
        num_parameters=headers.num_parameters(folder),
        context_length=length,
        way=probed.verdict.way,
        config=probed.verdict.config,
    )
