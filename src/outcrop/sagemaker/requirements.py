"""The requirements of a job's code, installed before its data is there.

pip needs a package index, and what it installs may run programs of strangers. So it runs in a sandbox of its own: with
the machine's network, and with nothing but the code. Where the administrator has named a folder of wheels, it has these
in the place of the network.
"""

import os
from pathlib import Path

from outcrop.errors import Invalid
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.sandbox import Sandbox
from outcrop.isolation.ways import Isolation
from outcrop.sagemaker import environments
from outcrop.sagemaker.environments import ENVIRONMENT_INSIDE
from outcrop.sagemaker.job_folder import JobFolder

FILE = "requirements.txt"
_MOST_S = 1800.0


def install(
    folder: JobFolder, python: Path, *, way: Isolation, limits: SandboxLimits, log: Path, offline: bool = False
) -> None:
    """Install the requirements of the code, if it has any, into the job's environment. Raises Invalid.

    `offline`: the job asks for a network of its own, or for none; then only the administrator's wheels will do.
    What pip says goes into `log`. The folder is not to be trusted afterwards: strangers have written there.
    """
    if not (folder.code / FILE).is_file():
        return
    wheels = environments.wheels()
    if offline and wheels is None:
        raise Invalid(
            f"{FILE}: the job asks for network isolation or a VpcConfig, and pip would need the machine's network. Put "
            f"the wheels into the folder that {environments.WHEELS} names, or leave the file out."
        )
    own = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    sandbox = Sandbox(
        root=folder.sandbox,
        opt_ml=folder.opt_ml,
        read_only=[*environments.roots(python), *([wheels] if wheels is not None else [])],
        environment={**own, "PATH": f"{ENVIRONMENT_INSIDE}/bin:/usr/local/bin:/usr/bin:/bin"},
        folder="/opt/ml/code",
        network=wheels is None,
        limits=limits,
    )
    pip = [f"{ENVIRONMENT_INSIDE}/bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command = [*pip, *environments.index_arguments(), "-r", FILE]
    with log.open("ab") as printed:
        program = sandbox.start(command, way=way, stdout=printed.fileno())
        ended = program.wait(_MOST_S)
        if ended is None:
            program.kill()
            program.wait()
            raise Invalid(f"{FILE}: pip did not end within {_MOST_S / 60:.0f} minutes.")
    if ended.code or ended.breach is not None:
        raise Invalid(
            f"{FILE}: pip cannot install it; the job's log has its words. {ended.reason} Correct it, or put the wheels "
            f"into the folder that {environments.WHEELS} names."
        )
