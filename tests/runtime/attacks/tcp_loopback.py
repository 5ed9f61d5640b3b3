"""Connects to a server of the same machine."""

import socket

with socket.create_connection(("127.0.0.1", TARGET["tcp"]), timeout=2) as connection:
    connection.sendall(b"leak")
    if connection.recv(9) == b"leak":
        print("HARM")
