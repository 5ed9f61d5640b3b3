"""Asks the kernel itself for a socket, past everything that Python refuses."""

import ctypes
import struct

libc = ctypes.CDLL(None)
fd = libc.syscall(41, 2, 1, 0)  # socket(AF_INET, SOCK_STREAM)
address = struct.pack("=H", 2) + struct.pack("!H", TARGET["tcp"]) + bytes([127, 0, 0, 1]) + bytes(8)
if fd >= 0 and libc.connect(fd, address, 16) == 0:
    print("HARM")
