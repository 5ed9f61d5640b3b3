"""Opens a socket to the host of a virtual machine, which no network namespace closes."""

import socket

socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
print("HARM")
