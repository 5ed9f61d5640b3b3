"""Becomes root and gives root a file."""

import os

os.setresuid(0, 0, 0)
open("mine", "w").close()
os.chown("mine", 0, 0)
os.chown("mine", 12, 34)
print("HARM")
