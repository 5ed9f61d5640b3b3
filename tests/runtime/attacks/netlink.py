"""Asks the kernel about the machine's network."""

import socket

socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
print("HARM")
