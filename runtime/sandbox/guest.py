"""Inside the sandbox: takes programs from the parent and runs each in a process of its own.

The first process of its PID namespace: nothing inside can signal it, and when it ends everything
ends. The standard library only, since nothing else is visible here; it is passed as ``python -c``.

A request is a JSON header and the bytes of the files, with file descriptors for stdin, stdout,
stderr and, if there are any, calls. The answer is a header and the bytes of the files that the
program left. All decisions about limits in bytes and time are the parent's.
"""

import array
import contextlib
import ctypes
import gc
import json
import linecache
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import threading
import traceback
import types

TICK = 0.02  # seconds between looks at memory, processes and files
MEMORY_CODE = 77  # how a Python program exits that ran out of memory
DEEPEST = 32  # folders below scratch that are collected


def main():
    control = socket.socket(fileno=int(sys.argv[1]))
    isolated, scratch = sys.argv[2] == "isolated", sys.argv[3]
    if isolated and os.getpid() != 1:
        sys.exit("not the first process of its namespace")
    os.chdir(scratch)
    libc = ctypes.CDLL(None, use_errno=True)
    # Nothing inside may read this process's memory or take its descriptors.
    prctl(libc, 4, 0)
    send(control, {"ready": True})
    gc.freeze()  # what is here now stays, and a child's collector need not touch its pages
    while True:
        request, blobs, fds = receive(control)
        if request is None:
            sys.exit(0)
        before = dict(zip(request["names"], blobs, strict=True))
        for name, data in before.items():
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            with open(name, "wb") as file:
                file.write(data)
        child = os.fork()
        if child == 0:
            control.close()
            prctl(libc, 4, 1)
            return become(request, blobs, fds, libc, isolated)
        for fd in fds:
            os.close(fd)
        del blobs
        answer = watch(child, request["limits"], control, isolated)
        left, clean = collect(before, request["limits"])
        answer["names"] = list(left)
        answer["clean"] = clean and wipe()
        send(control, answer, list(left.values()))


def prctl(libc, option, *args):
    if libc.prctl(option, *(ctypes.c_ulong(a) for a in args), *([0] * (4 - len(args)))) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


# --- messages -----------------------------------------------------------------------------------


def send(control, header, blobs=()):
    header["sizes"] = [len(b) for b in blobs]
    text = json.dumps(header).encode()
    control.sendall(struct.pack("!Q", len(text)) + text)
    for blob in blobs:
        control.sendall(blob)


def receive(control):
    """A request, its files and its descriptors; ``None`` when the parent is gone."""
    found = array.array("i")
    start, ancillary, _, _ = control.recvmsg(8, socket.CMSG_LEN(4 * found.itemsize))
    if not start:
        return None, [], []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    (size,) = struct.unpack("!Q", start + exactly(control, 8 - len(start)))
    request = json.loads(exactly(control, size))
    return request, [exactly(control, n) for n in request["sizes"]], list(found)


def exactly(control, size):
    parts = bytearray()
    while len(parts) < size:
        part = control.recv(min(size - len(parts), 1 << 20))
        if not part:
            sys.exit(0)
        parts += part
    return bytes(parts)


# --- the program's process ----------------------------------------------------------------------


def become(request, blobs, fds, libc, isolated):
    """In the child: the program's descriptors, limits and filter; then what it is to run."""
    os.setsid()
    for target, fd in enumerate(fds[:3]):
        os.dup2(fd, target)
    calls = None
    if len(fds) > 3:
        calls = os.dup2(fds[3], 3)
    os.closerange(3 if calls is None else 4, 1024)
    limits = request["limits"]
    bound(resource.RLIMIT_AS, limits["memory"])
    bound(resource.RLIMIT_CPU, int(limits["seconds"]) + 1)
    bound(resource.RLIMIT_FSIZE, limits["written"])
    bound(resource.RLIMIT_NOFILE, 64)
    bound(resource.RLIMIT_CORE, 0)
    bound(resource.RLIMIT_MEMLOCK, 0)
    bound(resource.RLIMIT_MSGQUEUE, 0)
    if isolated:  # this process counts, and one more is let through to be seen by the watch
        bound(resource.RLIMIT_NPROC, limits["processes"] + 2)
    confine(libc, bytes.fromhex(request["filter"]))
    environment = {"HOME": os.getcwd(), "TMPDIR": os.getcwd(), "PATH": "/usr/bin:/bin"}
    os.environ.clear()
    os.environ.update(environment, LANG="C.UTF-8", PYTHONDONTWRITEBYTECODE="1")
    if calls is not None:
        os.set_inheritable(3, True)
        os.environ["DAGENT_CALLS"] = "3"
    if request["argv"]:
        try:
            os.execvp(request["argv"][0], request["argv"])
        except OSError as error:
            sys.stderr.write(f"{request['argv'][0]}: {error.strerror}\n")
            os._exit(127)
    return request["code"], Calls(3, request["serve"]) if calls is not None else None


def bound(kind, value):
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def confine(libc, filter):
    """No new privileges, then the filter (PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP)."""
    prctl(libc, 38, 1)
    if not filter:
        return

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    wanted = Program(len(filter) // 8, filter)
    if libc.prctl(22, 2, ctypes.byref(wanted), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


class Calls:
    """The functions that the parent serves, one line of JSON each way. Threads take turns."""

    def __init__(self, fd, names):
        self._lock = threading.Lock()
        self._to = os.fdopen(fd, "wb", closefd=False)
        self._from = os.fdopen(fd, "rb", closefd=False)
        self.functions = {name: self._function(name) for name in names}

    def _function(self, name):
        def call(*args, **kwargs):
            line = json.dumps({"call": name, "args": args, "kwargs": kwargs}) + "\n"
            with self._lock:
                self._to.write(line.encode())
                self._to.flush()
                answer = json.loads(self._from.readline() or b'{"error": "nobody answers"}')
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return answer["result"]

        call.__name__ = call.__qualname__ = name
        return call


def execute(code, calls):
    """The program as ``__main__``; then the interpreter ends as it does after any script."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.path.insert(0, os.getcwd())
    sys.dont_write_bytecode = True  # its caches are nothing that it left
    sys.argv = ["program.py"]
    if calls is not None:
        vars(module).update(calls.functions)
    linecache.cache["program.py"] = (len(code), None, code.splitlines(True), "program.py")
    try:
        exec(compile(code, "program.py", "exec"), vars(module))
    except MemoryError:
        os._exit(MEMORY_CODE)
    except Exception as error:
        # From the program's own first line on; frames of this file would only confuse.
        traceback.print_exception(type(error), error, error.__traceback__.tb_next)
        sys.exit(1)


# --- the watch ----------------------------------------------------------------------------------


def watch(child, limits, control, isolated):
    """Wait for the program; then nothing that it started is left. What it went beyond, if it did.

    The parent's going away, or anything that it says meanwhile, ends everything.
    """
    ended = os.pidfd_open(child)
    exceeded, tick = None, 0.001
    poll = select.poll()  # the parent's numbers of descriptors may be beyond those of ``select``
    for fd in (ended, control.fileno()):
        poll.register(fd, select.POLLIN)
    while exceeded is None:
        ready = [fd for fd, _ in poll.poll(1000 * tick)]
        if control.fileno() in ready:
            sys.exit(0)
        if ready:
            break
        tick = min(TICK, tick * 2)
        if isolated:
            exceeded = beyond(limits)
    os.close(ended)
    if isolated:
        kill_all()
        status = reap(child)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if exceeded is None and code == MEMORY_CODE:
        exceeded = "memory"
    return {"code": code, "exceeded": exceeded}


def kill_all():
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # all but this process: it is the first of its namespace


def reap(child):
    """The child's status, after every process below has ended: orphans are this one's children."""
    status = 0
    while True:
        try:
            pid, code = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if pid == child:
            status = code
        kill_all()


def beyond(limits):
    """Which limit on the whole the running processes exceed."""
    resident = threads = 0
    page = os.sysconf("SC_PAGE_SIZE")
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        threads += int(fields[17])
        resident += int(fields[21]) * page
    if threads > limits["processes"]:
        return "processes"
    if resident > limits["memory"]:
        return "memory"
    held = os.statvfs(".")
    return "files" if held.f_files - held.f_ffree > limits["files"] + DEEPEST else None


# --- what it left -------------------------------------------------------------------------------


def collect(before, limits):
    """Regular files that are new or changed, by path; and whether that is all that was there.

    Links are never followed: all is opened relative to its folder, and only what is a plain file.
    """
    found, room, clean = {}, limits["written"], True
    stack = [("", os.open(".", os.O_RDONLY | os.O_DIRECTORY))]
    while stack:
        prefix, folder = stack.pop()
        for name in sorted(os.listdir(folder)):
            path = prefix + name
            try:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    clean &= len(stack) < DEEPEST and path.count("/") < DEEPEST
                    if not clean:
                        continue
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                    stack.append((path + "/", os.open(name, flags, dir_fd=folder)))
                    continue
                if not stat.S_ISREG(mode):
                    continue
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except OSError:
                clean = False
                continue
            with os.fdopen(fd, "rb") as file:
                data = file.read(room + 1)
            room -= len(data)
            if room < 0 or len(found) >= limits["files"]:
                os.close(folder)
                for _, other in stack:
                    os.close(other)
                return found, False
            if before.get(path) != data:
                found[path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")] = data
        os.close(folder)
    return found, clean


def wipe():
    """Empty the scratch folder; whether that worked."""
    for base, folders, files in os.walk(".", topdown=False):
        try:
            for name in files:
                os.unlink(os.path.join(base, name))
            for name in folders:
                path = os.path.join(base, name)
                os.unlink(path) if os.path.islink(path) else os.rmdir(path)
        except OSError:
            return False
    return True


job = main()
if job is not None:
    execute(*job)
