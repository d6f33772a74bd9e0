"""Python environments that stand for images: made once each, and only read from then on.

    python = environments.interpreter(settings, family, told=print)      # makes it, where it is not there

An environment lies in the home under a name that follows from its requirements. `OUTCROP_WHEELS` names a folder of
wheels that environments are made from, in the place of a package index.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import outcrop
from outcrop.errors import MachineTrouble
from outcrop.machine.environment import inherited
from outcrop.network.fast import switch
from outcrop.sagemaker.images import ImageFamily
from outcrop.settings import Settings

WHEELS = "OUTCROP_WHEELS"
ENVIRONMENT_INSIDE = "/opt/ml/environment"
"A job's own, as it is called in its sandbox: what its requirements bring does not reach other jobs."
_HEAD_BYTES = 4096
"Of a program; its interpreter stands at its beginning."
_READY = "ready"
_READABLE = 0o022
"The umask: programs of other users read what lies there."
_LAST_LINES = 5


def interpreter(settings: Settings, family: ImageFamily, *, told: Callable[[str], None]) -> Path:
    """The interpreter of a family's environment, which is made where it is not there; `told` hears what is done.

    Raises MachineTrouble where it cannot be made.
    """
    if family.python is not None:
        if not os.access(family.python, os.X_OK):
            raise MachineTrouble(f"{family.python}: the interpreter of the environment {family.name} is not there.")
        return family.python
    folder = settings.home / "environments" / f"{family.name}-{_digest(family)}"
    if not (folder / _READY).exists():
        with _alone(folder):
            if not (folder / _READY).exists():  # else another job has made it meanwhile
                told(f"making the environment {family.name} with {', '.join(family.requirements)}")
                _make(folder, family)
    return folder / "bin" / "python"


def roots(python: Path) -> list[Path]:
    """The folders that an interpreter needs: its environment, and the installation that this is made from."""
    return list(dict.fromkeys([python.parent.parent, python.resolve().parent.parent]))


def own_package() -> Path:
    """The folder of Outcrop's own package, wherever it is installed or checked out."""
    return Path(outcrop.__file__).parent


def own_switches() -> dict[str, str]:
    """The variables of this process by which Outcrop chooses how it computes."""
    return {switch.NAME: os.environ[switch.NAME]} if switch.NAME in os.environ else {}


def make_over(python: Path, folder: Path, *, first: Sequence[Path] = ()) -> None:
    """Make an environment of one job: it sees the packages of `python`'s, and takes up what the job adds.

    Packages in the folders of `first` come before those. Raises MachineTrouble.
    """
    asked = "import sys, sysconfig; print(sysconfig.get_path('purelib')); print('%d.%d' % sys.version_info[:2])"
    packages, version = _run([str(python), "-c", asked]).split()
    _run([str(python), "-m", "venv", "--without-pip", str(folder)])
    own = folder / "lib" / f"python{version}" / "site-packages"
    seen = own / "environment.pth"
    places = dict.fromkeys([*map(str, first), packages])
    seen.write_text("".join(f"{each}\n" for each in places), "utf-8")
    seen.chmod(0o644)  # whoever runs programs in it may be another user
    if (python.parent.parent / "pyvenv.cfg").exists():
        _copy_programs(python.parent, folder / "bin")


def _copy_programs(source: Path, target: Path) -> None:
    """Copy the programs of an environment's packages, as torchrun, so that they run with what the job adds."""
    theirs, own = os.fsencode(source / "python"), os.fsencode(f"{ENVIRONMENT_INSIDE}/bin/python")
    for program in source.iterdir():
        if not program.is_file() or program.is_symlink() or (target / program.name).exists():
            continue
        with program.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
            if head.startswith(b"#!") and theirs in head:
                (target / program.name).write_bytes(head.replace(theirs, own, 1) + opened.read())
                (target / program.name).chmod(0o755)


def wheels() -> Path | None:
    """The administrator's folder of wheels; None where there is none."""
    named = os.environ.get(WHEELS, "")
    return Path(named).absolute() if named else None


def index_arguments() -> list[str]:
    """How pip is told to take wheels from the administrator's folder alone; nothing where none is named."""
    folder = wheels()
    return [] if folder is None else ["--no-index", "--find-links", str(folder)]


def _make(folder: Path, family: ImageFamily) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what was broken off
    try:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, *index_arguments(), *family.requirements])
    except MachineTrouble as trouble:
        shutil.rmtree(folder, ignore_errors=True)
        raise MachineTrouble(
            f"The environment {family.name} cannot be made: {trouble.message} Mend that, or name a folder of wheels "
            f"with {WHEELS}."
        ) from trouble
    (folder / _READY).touch()


def _run(command: list[str]) -> str:
    """The output of a command. Raises MachineTrouble with its last words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=_READABLE, env=inherited())
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
        raise MachineTrouble(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
    return done.stdout


def _digest(family: ImageFamily) -> str:
    parts = (sys.version.split()[0], *family.requirements)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
