"""Attempts of a program to see or change what is not its own; each is a function's body.

One program tries them all, each in a process of its own, and tells by name which of them worked.

`works_for` names who succeeds with it where nothing keeps the program apart: "root", "user", or both. Where nobody is
named it could not be tried without harm, or needs what this machine may lack.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import dedent, indent

PRELUDE = """
import ctypes, errno, fcntl, json, os, platform, resource, signal, socket, stat, struct, subprocess, sys, tempfile, time
world = json.loads(os.environ["WORLD"])
secret = world["secret"]
starter = os.getppid()  # whoever started this program, and not the program itself, which starts the attempts
libc = ctypes.CDLL(None, use_errno=True)
calls = {"x86_64": 0, "aarch64": 1}[platform.machine()]
def call(numbers, *arguments):
    number = numbers[calls] if isinstance(numbers, tuple) else numbers
    result = libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def others():
    return [pid for pid in (world["victim"], starter) if os.path.exists(f"/proc/{pid}")]
def read(path):
    with open(path, "rb") as file:
        return file.read(100_000)
def tell(name, attempt):
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    try:
        said = "WORKED" if attempt() else "HELD"
    except BaseException as error:
        said = "HELD by " + repr(error)
    os.write(1, json.dumps([name, said]).encode() + b"\\n")
    os._exit(0)
"""
BOTH = frozenset({"root", "user"})
ROOT = frozenset({"root"})


@dataclass(frozen=True)
class Attempt:
    """A try to get out, by name."""

    name: str
    body: str
    works_for: frozenset[str] = frozenset()

    @property
    def function(self) -> str:
        """A function that tries it, and the call that tells how it went."""
        body = indent(dedent(self.body).strip(), "    ")
        return f"def attempt():\n{body}\ntell({self.name!r}, attempt)\n"


def program(attempts: Iterable[Attempt]) -> str:
    """A program that prints a name and a verdict for each attempt, as lines of JSON."""
    return PRELUDE + "".join(attempt.function for attempt in attempts)


ATTEMPTS = [
    # Files.
    Attempt("read a file of another job", "return secret.encode() in read(world['other_job'])", BOTH),
    Attempt("list where the jobs lie", "return 'other' in os.listdir(world['jobs'])", BOTH),
    Attempt("read keys in the home", "return secret.encode() in read(world['credentials'])", BOTH),
    Attempt("read the machine's passwords", "return b':' in read('/etc/shadow')", ROOT),
    Attempt("look into root's home", "return '.bashrc' in os.listdir('/root') or os.path.exists('/root/.ssh')"),
    Attempt(
        "write to a folder that is only shown",
        "open(world['shown'] + '/new', 'w').close(); os.unlink(world['shown'] + '/new'); return True",
        BOTH,
    ),
    Attempt("change a file that is only shown", "open(world['shown'] + '/file', 'r+b').close(); return True", BOTH),
    Attempt("change the rights of a shown file", "os.chmod(world['shown'] + '/file', 0o666); return True", BOTH),
    Attempt("set the times of a shown file", "os.utime(world['shown'] + '/file'); return True", BOTH),
    Attempt("replace the interpreter's library", "open(os.__file__, 'r+b').close(); return True", ROOT),
    Attempt("write beside its own folders", "open('/etc/outcrop-test', 'w').close(); os.unlink('/etc/outcrop-test'); return True", ROOT),
    Attempt(
        "give a file of another job a name of its own",
        "os.link(world['other_job'], tempfile.mkdtemp() + '/mine'); return True",
        BOTH,
    ),
    Attempt(
        "give a program of the machine a name of its own",
        "os.link(os.path.realpath('/bin/sh'), '/tmp/outcrop-test-sh'); return True",
    ),
    Attempt(
        "climb above the root",
        """
        for _ in range(50):
            os.chdir('..')
        return os.path.exists('.' + world['other_job'])
        """,
        BOTH,
    ),
    Attempt(
        "leave a changed root by an open folder",
        """
        folder = os.open('/', os.O_RDONLY)
        os.chroot(tempfile.mkdtemp())
        os.fchdir(folder)
        return os.path.exists('.' + world['other_job'])
        """,
        ROOT,
    ),
    Attempt(
        "look through the root of a process",
        "return any(os.path.exists(f'/proc/{pid}/root' + world['other_job']) for pid in (1, *others()))",
        BOTH,
    ),
    Attempt(
        "make a device file of the disk",
        "path = tempfile.mkdtemp() + '/disk'; os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 0)); return True",
        ROOT,
    ),
    Attempt(
        "open a disk",
        """
        for line in read('/proc/partitions').decode().split()[4::4]:
            try:
                os.close(os.open('/dev/' + line, os.O_RDONLY))
                return True
            except OSError:
                pass
        return False
        """,
    ),
    Attempt("open the machine's memory", "os.close(os.open('/dev/mem', os.O_RDONLY)); return True"),
    Attempt("open the kernel's messages", "os.close(os.open('/dev/kmsg', os.O_RDONLY)); return True", ROOT),
    Attempt("read the kernel's memory image", "return len(read('/proc/kcore')[:10]) > 0"),
    Attempt("look at the machine's devices", "return len(os.listdir('/sys')) > 0", BOTH),
    Attempt("change a setting of the kernel", "os.close(os.open('/proc/sys/kernel/hostname', os.O_WRONLY)); return True", ROOT),
    Attempt("reach the kernel's emergency keys", "os.close(os.open('/proc/sysrq-trigger', os.O_WRONLY)); return True"),
    Attempt("fill the file system of devices", "open('/dev/outcrop-test', 'w').close(); os.unlink('/dev/outcrop-test'); return True", ROOT),
    # Processes.
    Attempt("see a process of somebody else", "return os.path.exists(f\"/proc/{world['victim']}\")", BOTH),
    Attempt("count many processes", "return sum(name.isdigit() for name in os.listdir('/proc')) > 4", BOTH),
    Attempt("signal a process of somebody else", "os.kill(world['victim'], signal.SIGCONT); return True", BOTH),
    Attempt("end the first process", "os.kill(1, signal.SIGKILL); time.sleep(0.2); return not os.path.exists('/proc/1')"),
    Attempt(
        "read the environment of its parent",
        "return any(b'OUTCROP_TEST_SECRET' in read(f'/proc/{pid}/environ') for pid in others())",
        BOTH,
    ),
    Attempt("have its parent's environment", "return 'OUTCROP_TEST_SECRET' in os.environ", BOTH),
    Attempt(
        "trace a process",
        """
        libc.ptrace.restype = ctypes.c_long
        return any(libc.ptrace(0x4206, pid, None, None) == 0 for pid in others())
        """,
        BOTH,
    ),
    Attempt(
        "write into the memory of a process",
        "return any(os.close(os.open(f'/proc/{pid}/mem', os.O_RDWR)) is None for pid in others())",
        BOTH,
    ),
    Attempt(
        "read the memory of a process",
        """
        buffer = ctypes.create_string_buffer(8)
        here, there = struct.pack('QQ', ctypes.addressof(buffer), 8), struct.pack('QQ', 4096, 8)
        for pid in others():
            try:
                call((310, 270), pid, ctypes.c_char_p(here), 1, ctypes.c_char_p(there), 1, 0)
            except OSError as error:
                if error.errno == errno.EFAULT:  # nothing lies at that address, but it was looked for
                    return True
        return False
        """,
        BOTH,
    ),
    Attempt(
        "take a descriptor from a process",
        "return any(call(438, os.pidfd_open(pid), 0, 0) >= 0 for pid in others())",
        BOTH,
    ),
    Attempt(
        "read through a descriptor that it was left",
        """
        for name in os.listdir('/proc/self/fd'):
            try:
                if secret.encode() in os.pread(int(name), 1000, 0):
                    return True
            except OSError:
                pass
        return False
        """,
        BOTH,
    ),
    Attempt(
        "find descriptors of whoever started it",
        "return len(os.listdir('/proc/self/fd')) > 4",
        BOTH,
    ),
    Attempt("type into the terminal", "fcntl.ioctl(os.open('/dev/tty', os.O_RDWR), 0x5412, b'x'); return True"),
    Attempt("run before everybody else", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); return True", ROOT),
    Attempt("be ended last when memory is short", "os.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-900'); return True"),
    Attempt(
        "raise a limit of its own",
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard - 1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return True
        """,
    ),
    Attempt("leave core files", "return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0"),
    # Rights and namespaces.
    Attempt("be the machine's root", "return os.geteuid() == 0", ROOT),
    Attempt("become another user", "os.setuid(1234); return True", ROOT),
    Attempt(
        "have capabilities, or gain them",
        """
        status = dict(line.split(':', 1) for line in read('/proc/self/status').decode().splitlines())
        return any(int(status[name], 16) for name in ('CapEff', 'CapPrm', 'CapBnd')) or not int(status['NoNewPrivs'])
        """,
        BOTH,
    ),
    Attempt(
        "gain root by a program with its set-user-id bit",
        "return not os.statvfs('/usr').f_flag & os.ST_NOSUID",
    ),
    Attempt("make a user namespace", "return libc.unshare(0x10000000) == 0", BOTH),
    Attempt(
        "make a user namespace with a new process",
        """
        pid = call((56, 220), 0x10000000 | int(signal.SIGCHLD), 0, 0, 0, 0)
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        return True
        """,
        BOTH,
    ),
    Attempt("make a mount namespace", "return libc.unshare(0x00020000) == 0", ROOT),
    Attempt(
        "enter the namespaces of a process",
        "return any(libc.setns(os.open(f'/proc/{pid}/ns/uts', os.O_RDONLY), 0) == 0 for pid in (*others(), 1))",
        ROOT,
    ),
    Attempt(
        "mount something",
        """
        place = tempfile.mkdtemp().encode()
        worked = libc.mount(b'tmpfs', place, b'tmpfs', ctypes.c_ulong(0), b'') == 0
        libc.umount2(place, 2)
        return worked
        """,
        ROOT,
    ),
    Attempt("make the shown writable", "return libc.mount(b'none', b'/usr', None, ctypes.c_ulong(32 | 4096), b'') == 0"),
    Attempt("make the root writable", "return libc.mount(b'none', b'/', None, ctypes.c_ulong(32 | 4096), b'') == 0"),
    Attempt("take away what hides something", "return libc.umount2(b'/proc/sys', 2) == 0 or libc.umount2(b'/proc', 2) == 0"),
    Attempt("make the root another folder", "return call((155, 41), b'/tmp', b'/tmp') == 0"),
    Attempt("load a kernel module", "return call((175, 105), b'', 0, b'') == 0"),
    Attempt("set the clock", "time.clock_settime(time.CLOCK_REALTIME, 0); return True"),
    Attempt("rename the machine", "socket.sethostname('outcrop-test'); return True"),
    Attempt("restart the machine", "return call((169, 142), 0, 0, 0, 0) == 0"),
    Attempt(
        "load a program into the kernel",
        "call((321, 280), 0, ctypes.c_char_p(struct.pack('IIII', 1, 4, 4, 1) + bytes(120)), 136); return True",
        ROOT,
    ),
    Attempt("put a key on a ring of the kernel", "return call((248, 217), b'user', b'outcrop-test', b'x', 1, -2) > 0", BOTH),
    Attempt("read the kernel's log", "return call((103, 116), 10, 0, 0) >= 0 and call((103, 116), 3, ctypes.create_string_buffer(100), 100) >= 0", ROOT),
    # Network and memory of others.
    Attempt(
        "reach a port of this machine",
        "return secret.encode() in socket.create_connection(('127.0.0.1', world['port']), 2).recv(100)",
        BOTH,
    ),
    Attempt(
        "reach this machine by its address",
        "return secret.encode() in socket.create_connection((world['address'] or '127.0.0.1', world['port']), 2).recv(100)",
        BOTH,
    ),
    Attempt(
        "send something to another machine",
        "return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9)) == 1",
    ),
    Attempt("see network devices", "return len(socket.if_nameindex()) > 1"),
    Attempt("listen to the network", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW); return True", ROOT),
    Attempt("talk to the machine below this one", "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); return True"),
    Attempt("use the kernel's ciphers", "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0); return True"),
    Attempt(
        "reach a socket of the server",
        "c = socket.socket(socket.AF_UNIX); c.connect(world['unix']); return secret.encode() in c.recv(100)",
        BOTH,
    ),
    Attempt(
        "reach a socket without a file",
        "c = socket.socket(socket.AF_UNIX); c.connect(world['abstract']); return secret.encode() in c.recv(100)",
        BOTH,
    ),
    Attempt("read a file in shared memory", "return secret.encode() in read(world['memory_file'])", BOTH),
    Attempt(
        "attach shared memory by its key",
        """
        libc.shmat.restype = ctypes.c_void_p
        place = libc.shmget(world['shared_key'], 0, 0)
        if place < 0:
            return False
        return ctypes.string_at(libc.shmat(place, None, 0), len(secret)) == secret.encode()
        """,
        BOTH,
    ),
    Attempt("make a queue of the kernel's", "return call((425, 425), 1, ctypes.create_string_buffer(200)) >= 0"),
]  # fmt: skip
