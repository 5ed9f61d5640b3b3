"""Leaves a key in a keyring of the kernel's, where the next program finds it."""

import ctypes

libc = ctypes.CDLL(None)
key = libc.syscall(248, b"user", b"dagent-test", b"value", 5, -1)  # on its own thread's keyring
if key > 0:
    print("HARM")
