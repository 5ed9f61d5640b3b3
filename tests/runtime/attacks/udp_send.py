"""Sends a datagram out, which needs no answer to leak."""

import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.settimeout(2)
    sender.sendto(b"leak", ("127.0.0.1", TARGET["udp"]))
    if sender.recv(9) == b"leak":
        print("HARM")
