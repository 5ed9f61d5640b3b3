"""Nests folders so deep that what collects or removes them breaks."""

import os
import time

top = os.open(".", os.O_RDONLY)
for _ in range(3_000):
    os.mkdir("d")
    os.chdir("d")
time.sleep(0.2)
print("HARM")
os.fchdir(top)
