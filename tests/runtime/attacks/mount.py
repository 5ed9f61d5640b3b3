"""Mounts a file system (in a namespace of its own, so that nothing is harmed outside)."""

import ctypes
import os

os.makedirs("point")
libc = ctypes.CDLL(None)
libc.unshare(0x00020000)
if libc.mount(b"none", b"point", b"tmpfs", 0, b"size=4k") == 0:
    print("HARM")
