"""The engine's socket: everybody who comes at once is let in."""

import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from outcrop.inference.unix_http import HttpAnswer, HttpCall, UnixServer
from tests.support.patience import PATIENCE_S

CALLERS = 300
"More than asyncio lets wait by itself."


def test_hundreds_of_callers_at_once_are_all_answered() -> None:
    async def answer(call: HttpCall) -> HttpAnswer:
        return HttpAnswer(body=call.body)

    async def ask(socket: Path, number: int) -> bytes:
        reader, writer = await asyncio.open_unix_connection(socket)
        body = b"%05d" % number
        writer.write(b"POST / HTTP/1.1\r\nhost: engine\r\ncontent-length: 5\r\n\r\n" + body)
        *_, answered = (await reader.readuntil(body)).partition(b"\r\n\r\n")
        writer.close()
        return answered

    async def scenario() -> None:
        folder = Path(tempfile.mkdtemp(prefix="outcrop-"))  # a socket's path is short
        server = UnixServer(folder / "socket", answer)
        await server.start()
        answers = await asyncio.gather(*(ask(folder / "socket", number) for number in range(CALLERS)))
        await server.close(grace_s=0)
        shutil.rmtree(folder)
        assert answers == [b"%05d" % number for number in range(CALLERS)]

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


def test_a_process_may_open_as_many_files_as_the_system_lets_it() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2**16 if hard == resource.RLIM_INFINITY else min(hard, 2**16)
    program = (
        "import resource\n"
        "from outcrop.machine.processes import allow_many_files\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, {wanted}), {hard}))\n"
        "allow_many_files()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert told.stdout.split() == [str(wanted), str(hard)]
