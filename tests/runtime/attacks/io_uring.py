"""Uses the interface that goes round filters of system calls."""

import ctypes

if ctypes.CDLL(None).syscall(425, 4, bytes(120)) >= 0:
    print("HARM")
