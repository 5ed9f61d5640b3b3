"""Floods stderr instead of stdout."""

import sys

for _ in range(64):
    sys.stderr.write("x" * 2**16)
print("HARM")
