"""Attaches to another process as a debugger does."""

import ctypes
import os
import time

child = os.fork()
if child == 0:
    time.sleep(2)
    os._exit(0)
libc = ctypes.CDLL(None)
libc.ptrace.argtypes = [ctypes.c_long] * 4
if libc.ptrace(16, child, 0, 0) == 0:
    print("HARM")
os.kill(child, 9)
