"""Image URIs of AWS, and the environment family that stands for each here.

An image is not run: its name says which libraries a script expects, and an environment with these is. The table is
`images.toml` beside this file; a home may have an `images.toml` of its own, whose families come first.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from outcrop.errors import Invalid, MachineTrouble
from outcrop.json_files import FileProblem, JsonItems, JsonText, Members
from outcrop.settings import Settings

FILE = "images.toml"
OWN_PYTHON = "outcrop"
"In the table: the interpreter of this installation."
_OURS = Path(__file__).with_name(FILE)
_URI = re.compile(r"(?:[\w.-]+(?::\d+)?/)?(?P<repository>[\w./-]+?)(?::(?P<tag>[\w.-]+))?(?:@sha256:[0-9a-f]{64})?")
_NAMES = JsonItems(of=JsonText(least=1, most=200), least=1, most=100)


def _rule_of_names(text: str) -> str | None:
    return None if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", text) else f"{text[:60]!r} is no name: a-z, 0-9 and '-'"


_TABLE = Members(
    required={
        "family": JsonItems(
            of=Members(
                required={
                    "name": JsonText(rule=_rule_of_names),
                    "repositories": _NAMES,
                },
                optional={
                    "launcher": JsonText(one_of=("script", "none")),
                    "serving": JsonText(one_of=("engine", "huggingface", "pytorch", "scikit-learn", "own")),
                    "serve": JsonItems(of=JsonText(least=1), least=1),
                    "requirements": _NAMES,
                    "python": JsonText(least=1),
                },
            )
        )
    }
)


class CodeLauncher(StrEnum):
    """How the code of a job is started in an environment."""

    SCRIPT = "script"
    "As SageMaker's training toolkit does."
    NONE = "none"
    "By the job's own ContainerEntrypoint."


class ModelServing(StrEnum):
    """How a model is served by an environment."""

    ENGINE = "engine"
    "By an engine of this installation, as the images of language models do."
    HUGGINGFACE = "huggingface"
    "By `inference.py`, as Hugging Face's inference toolkit does."
    PYTORCH = "pytorch"
    SCIKIT_LEARN = "scikit-learn"
    OWN = "own"
    "By a program of the environment, which listens on port 8080."


@dataclass(frozen=True, kw_only=True)
class ImageFamily:
    """An environment that stands for the images of some repositories."""

    name: str
    repositories: tuple[str, ...]
    launcher: CodeLauncher
    serving: ModelServing | None = None
    "None: it is for training only."
    serve: tuple[str, ...] = ()
    "The command of the environment's own program, where that serves."
    requirements: tuple[str, ...] = ()
    python: Path | None = None
    "An interpreter that is there already; None: an environment is made of the requirements."
    is_own: bool = False
    "Whether that interpreter is this installation's, with Outcrop in it."


def family_of(settings: Settings, image: str, *, member: str = "TrainingImage") -> ImageFamily:
    """The family of an image URI, which stands in `member` of the request.

    Raises Invalid for one that stands for none, MachineTrouble for a damaged table.
    """
    repository = _repository(image)
    for family in _families(settings):
        if repository in family.repositories:
            return family
    raise Invalid(
        f"{member}: no environment stands for {image} here. Images are not run: add its repository to "
        f"{settings.home / FILE}, with an interpreter or with requirements."
    )


def _repository(image: str) -> str:
    found = _URI.fullmatch(image)
    return "" if found is None else found["repository"].rpartition("/")[2]


def _families(settings: Settings) -> Iterator[ImageFamily]:
    own = settings.home / FILE
    if own.exists():
        yield from _read(own)
    yield from _shipped()


@cache
def _shipped() -> tuple[ImageFamily, ...]:
    return tuple(_read(_OURS))


def _read(path: Path) -> Iterator[ImageFamily]:
    """The families of a table. Raises MachineTrouble."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        if (wrong := _TABLE.problem(table, "")) is not None:
            raise FileProblem(wrong)
    except (OSError, ValueError, FileProblem) as error:
        raise MachineTrouble(f"{path}: the table of images cannot be read: {error}") from error
    for entry in table["family"]:
        is_own = entry.get("python") == OWN_PYTHON
        python = Path(sys.executable if is_own else entry["python"]).expanduser() if "python" in entry else None
        yield ImageFamily(
            name=entry["name"],
            repositories=tuple(entry["repositories"]),
            launcher=CodeLauncher(entry.get("launcher", CodeLauncher.SCRIPT)),
            serving=ModelServing(entry["serving"]) if "serving" in entry else None,
            serve=tuple(entry.get("serve", ())),
            requirements=tuple(entry.get("requirements", ())),
            python=python,
            is_own=is_own,
        )
