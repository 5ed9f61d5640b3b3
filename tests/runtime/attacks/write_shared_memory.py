"""Writes to the memory that all processes share as files."""

import os

path = "/dev/shm/" + TARGET["mark"]
with open(path, "wb") as file:
    file.write(bytes(2**20))
os.unlink(path)
print("HARM")
