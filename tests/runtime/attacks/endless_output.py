"""Writes far more than anyone reads."""

import sys

for _ in range(64):
    sys.stdout.write("x" * 2**16)
print("HARM")
