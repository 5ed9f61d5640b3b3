"""Reads the environment of every process that /proc shows."""

import os

for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if TARGET["token"] in open(f"/proc/{pid}/environ").read():
            print("HARM")
            break
    except OSError:
        continue
