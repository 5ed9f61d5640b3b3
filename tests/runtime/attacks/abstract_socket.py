"""Connects to a service through a socket that is in no file system."""

import socket

with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(2)
    connection.connect(chr(0) + TARGET["abstract"])
    connection.sendall(b"leak")
    if connection.recv(9) == b"leak":
        print("HARM")
