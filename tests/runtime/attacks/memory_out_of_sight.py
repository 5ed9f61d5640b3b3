"""Hoards memory in anonymous files, which no process maps."""

import os

held = []
for number in range(80):
    fd = os.memfd_create(str(number))
    for _ in range(4):
        os.write(fd, bytes(2**20))
    held.append(fd)
print("HARM")
