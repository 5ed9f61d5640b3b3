"""Reads keys from its own environment and from that of the process above it."""

import os

found = repr(os.environ)
for pid in ("self", os.getppid()):
    try:
        found += open(f"/proc/{pid}/environ").read()
    except OSError:
        pass
if TARGET["token"] in found:
    print("HARM")
