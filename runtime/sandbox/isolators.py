"""How a machine isolates: bubblewrap where it is installed, else util-linux's ``unshare``.

Both give the guest a PID, mount, network, IPC and UTS namespace of its own, a read-only root with
no more in it than Python, the system's libraries and its tools, and a scratch folder in memory.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagent.runtime.sandbox.limits import Limits

SCRATCH = "/scratch"
SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib64", "/bin", "/lib", "/lib64")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Isolator:
    """``wrap`` gives the command that runs a command inside; ``needs`` the tools it is made of."""

    name: str
    needs: tuple[str, ...]
    wrap: Callable[[Sequence[str], Limits], list[str]]
    isolated: bool = True


def interpreter() -> str:
    """The Python that runs inside: the one below every virtual environment."""
    return os.path.realpath(sys.executable)


def visible() -> Iterator[tuple[str, str | None]]:
    """Folders to show read-only, as (path, what it links to, if it is a link).

    Not all of ``/usr``: images keep applications in ``/usr/src`` and data in ``/usr/share``.
    """
    prefix = Path(sys.base_prefix)
    own = [str(prefix / part) for part in ("bin", "lib", "lib64")]
    seen = set()
    for path in (*SYSTEM, *own):
        if path in seen or not os.path.isdir(path):
            continue
        seen.add(path)
        yield path, os.readlink(path) if os.path.islink(path) else None


def _nobody() -> list[str]:
    """As root: go on as a user that nobody is, so that no file and no process count is shared."""
    if os.geteuid() != 0:
        return []
    user = str(1_000_000_000 + secrets.randbelow(1_000_000_000))
    drop = ["--reuid", user, "--regid", user, "--clear-groups"]
    return ["setpriv", *drop, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]


def _bubblewrap(command: Sequence[str], limits: Limits) -> list[str]:
    args = ["bwrap", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    args += [f"--unshare-{space}" for space in ("ipc", "pid", "net", "uts", "cgroup-try")]
    if os.geteuid() == 0:  # in a user namespace root stays root to the files outside
        args += ["--cap-drop", "ALL"]
        args += [a for c in ("SETUID", "SETGID", "SETPCAP") for a in ("--cap-add", f"CAP_{c}")]
    else:
        args += ["--unshare-user", "--disable-userns"]
    for path, target in visible():
        for parent in reversed(Path(path).parents[:-1]):
            args += ["--dir", str(parent)]  # open to all; those that it makes itself are not
        args += ["--symlink", target, path] if target else ["--ro-bind", path, path]
    args += ["--proc", "/proc", "--dev", "/dev"]
    args += ["--perms", "1777", "--size", str(_room(limits)), "--tmpfs", SCRATCH]
    args += ["--symlink", "scratch", "/tmp", "--chdir", SCRATCH]
    # Else /dev/shm and the root itself could hold half of the machine's memory.
    args += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return [*args, "--", *_nobody(), *command]


def _room(limits: Limits) -> int:
    """Bytes of the scratch folder: what may be written, and a page for every file and folder."""
    return limits.written + 4096 * (limits.files + 64)


# The same root by hand. $1 is the scratch folder's size; the command follows.
_SETUP = """
set -e
mount -t tmpfs -o size=1m,nr_inodes=400,mode=755,nosuid,nodev sandbox /tmp
cd /tmp
{show}
mkdir -p proc dev scratch old
ln -s scratch tmp
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t tmpfs -o size={size},mode=1777,nosuid,nodev scratch scratch
for device in null zero full random urandom; do
  : > dev/$device; mount --bind /dev/$device dev/$device
done
ln -s /proc/self/fd dev/fd
{harden}
pivot_root . old
cd /
umount -l old
rmdir old
mount -o remount,bind,ro,nosuid,nodev /
cd /scratch
exec "$@"
"""
# The owner of these files is root: as root, keep them from one who would become it again.
_PROC = "for part in sys irq bus; do mount --bind proc/$part proc/$part; " + (
    "mount -o remount,bind,ro,nosuid,nodev,noexec proc/$part; done"
)


def _unshare(command: Sequence[str], limits: Limits) -> list[str]:
    show = []
    for path, target in visible():
        inside = shlex.quote("." + path)
        parent = shlex.quote(os.path.dirname("." + path))
        if target:
            show.append(f"mkdir -p {parent}; ln -s {shlex.quote(target)} {inside}")
        else:
            show.append(
                f"mkdir -p {inside}; mount --bind {shlex.quote(path)} {inside}; "
                f"mount -o remount,bind,ro,nosuid,nodev {inside}"
            )
    root = os.geteuid() == 0
    setup = _SETUP.format(show="\n".join(show), size=_room(limits), harden=_PROC if root else "")
    user = [] if root else ["--user", "--map-root-user"]
    drop = _nobody() or ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    spaces = ["--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child"]
    clean = ["env", "-i", *(f"{k}={v}" for k, v in _ENVIRONMENT.items())]
    inner = [*drop, *command]
    return [*clean, "unshare", *user, *spaces, "--", "sh", "-c", setup, "sandbox", *inner]


def _nothing(command: Sequence[str], limits: Limits) -> list[str]:
    return list(command)


BUBBLEWRAP = Isolator("bubblewrap", ("bwrap", "setpriv"), _bubblewrap)
UNSHARE = Isolator(
    "unshare", ("unshare", "setpriv", "mount", "pivot_root", "umount", "env"), _unshare
)
# Time, memory and output stay limited; files, network and processes do not.
NONE = Isolator("no sandbox", (), _nothing, isolated=False)
ISOLATORS = (BUBBLEWRAP, UNSHARE)
# Set by `dagent execute --allow-unsandboxed` for this process and the worker below it.
ALLOWED = "DAGENT_UNSANDBOXED"


def offered() -> tuple[Isolator, ...]:
    """What is tried, best first; no isolation at all only where the command line allows it."""
    return (*ISOLATORS, NONE) if os.environ.get(ALLOWED) else ISOLATORS


def missing(isolator: Isolator) -> tuple[str, ...]:
    """The tools of an isolator that this machine does not have."""
    path = os.pathsep.join((os.environ.get("PATH", ""), _ENVIRONMENT["PATH"]))
    return tuple(tool for tool in isolator.needs if shutil.which(tool, path=path) is None)
