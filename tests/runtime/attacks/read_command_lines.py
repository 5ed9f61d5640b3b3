"""Reads the command lines of other processes, where keys are often given."""

import os

for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if TARGET["victim_mark"] in open(f"/proc/{pid}/cmdline").read() and int(pid) != os.getpid():
            print("HARM")
            break
    except OSError:
        continue
