"""Connects to a service through its socket in the file system, as Docker has one."""

import socket

with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(2)
    connection.connect(TARGET["unix"])
    connection.sendall(b"leak")
    if connection.recv(9) == b"leak":
        print("HARM")
