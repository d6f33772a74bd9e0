"""The way in which this machine can keep somebody else's program apart, found by trying."""

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from outcrop.errors import MachineTrouble
from outcrop.isolation import leftovers
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.sandbox import Sandbox
from outcrop.isolation.ways import Isolation

WAYS = (Isolation.BUBBLEWRAP, Isolation.NAMESPACES)
"The better first."
_TRIAL = ("/bin/sh", "-c", "test -d /opt/ml && test $$ -gt 1")
_TRIAL_S = 60.0
_MEND = (
    "Install bubblewrap (Debian, Ubuntu: apt install bubblewrap), and allow user namespaces: "
    "sysctl user.max_user_namespaces=10000, on Ubuntu also sysctl kernel.apparmor_restrict_unprivileged_userns=0. "
    "In a container, start it with the right to make namespaces."
)


@cache
def trouble_with(way: Isolation) -> str | None:
    """Reason why a way does not work on this machine; None where a program has run that way."""
    with tempfile.TemporaryDirectory(prefix="outcrop-trial-") as folder:
        place = Path(folder) / "place"
        sandbox = Sandbox(root=place, opt_ml=place / "ml", limits=SandboxLimits(machine_disk_bytes=0))
        try:
            with tempfile.TemporaryFile() as said:
                ended = sandbox.start(_TRIAL, way=way, stdout=said.fileno()).wait(_TRIAL_S)
                said.seek(0)
                words = said.read().decode(errors="replace").strip()
            leftovers.remove(place)
        except (MachineTrouble, OSError) as error:
            return str(error)
    if ended is None:
        return f"A first program did not end within {_TRIAL_S:.0f} seconds."
    return None if ended.code == 0 else f"A first program failed in it. {ended.reason} {words}".strip()


def found(*, allow_unisolated: bool = False) -> Isolation:
    """The best way that works here. Raises MachineTrouble where none does, and none is not allowed."""
    for way in WAYS:
        if trouble_with(way) is None:
            return way
    if allow_unisolated:
        return Isolation.PLAIN
    raise MachineTrouble(f"Nothing on this machine can keep a program of somebody else apart. {_MEND}")


def told(*, allow_unisolated: bool = False) -> Sequence[str]:
    """Sentences on each way, and on the one that is used: for `outcrop doctor`."""
    sentences = []
    for way in WAYS:
        trouble = trouble_with(way)
        sentences.append(f"{way.value}: works." if trouble is None else f"{way.value}: does not work. {trouble}")
    try:
        chosen = found(allow_unisolated=allow_unisolated)
    except MachineTrouble as error:
        return [*sentences, str(error)]
    if chosen is Isolation.PLAIN:
        return [
            *sentences,
            f"Programs of others run as this user, kept apart by nothing, since that is allowed. {_MEND}",
        ]
    return [*sentences, f"Programs of others run in places of their own, by {chosen.value}."]
