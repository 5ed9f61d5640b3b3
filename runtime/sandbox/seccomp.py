"""The filter of system calls that every program in a sandbox runs under; libseccomp writes it.

Namespaces already keep a program from the machine's files, network and processes. The filter takes
away what is not in a namespace (kernel keyrings, vsock), what would let memory grow out of sight of
the limits, and the parts of the kernel that attacks on it have gone through.
"""

from __future__ import annotations

import errno
import tempfile

# By name, so that one list serves every architecture; what one does not have is left out.
DENIED = (
    *("add_key", "keyctl", "request_key"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"),
    *("mount", "umount", "umount2", "pivot_root", "chroot", "setns", "unshare"),
    *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter"),
    *("open_by_handle_at", "name_to_handle_at", "fanotify_init", "quotactl"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
    *("reboot", "swapon", "swapoff", "syslog", "acct", "iopl", "ioperm", "personality"),
    # Memory that no process maps: neither the address space nor the resident size shows it.
    *("shmget", "shmat", "memfd_create", "memfd_secret", "mq_open", "msgget", "semget"),
    *("ioprio_set", "process_madvise"),
    # It hides its flags behind a pointer. Without it the C library falls back to ``clone``.
    "clone3",
)
# What a process may do to itself (0) and to no other: the process that starts all programs runs on.
OWN = (
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "migrate_pages",
)
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NEW_NAMESPACES = (1 << 17, *(1 << bit for bit in range(25, 31)))
_AF_UNIX = 1
_TIOCSTI = 0x5412


def program() -> bytes:
    """The filter as the kernel takes it: an array of ``struct sock_filter``.

    Raises:
        ImportError, OSError, RuntimeError: when pyseccomp or libseccomp is not there.
    """
    import pyseccomp as seccomp

    filter = seccomp.SyscallFilter(seccomp.ALLOW)
    denied, missing = seccomp.ERRNO(errno.EPERM), seccomp.ERRNO(errno.ENOSYS)
    for name in DENIED:
        try:
            filter.add_rule(missing if name == "clone3" else denied, name)
        except OSError:
            continue  # not a system call of this machine's
    for flag in _NEW_NAMESPACES:
        filter.add_rule(denied, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    for name in OWN:
        filter.add_rule(denied, name, seccomp.Arg(0, seccomp.NE, 0))
    # Others' limits may be read; of ``setpriority`` the first argument says whether 0 is oneself.
    filter.add_rule(
        denied, "prlimit64", seccomp.Arg(0, seccomp.NE, 0), seccomp.Arg(2, seccomp.NE, 0)
    )
    for number in (0, 1):
        filter.add_rule(denied, "setpriority", seccomp.Arg(number, seccomp.NE, 0))
    # Only UNIX sockets: the network namespace is empty, but vsock and others know no namespace.
    for call in ("socket", "socketpair"):
        filter.add_rule(denied, call, seccomp.Arg(0, seccomp.NE, _AF_UNIX))
    filter.add_rule(denied, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, _TIOCSTI))
    with tempfile.TemporaryFile() as file:
        filter.export_bpf(file)
        file.seek(0)
        return file.read()
