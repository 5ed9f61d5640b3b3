"""Opens the memory of the process above it, to write to it."""

import os

open(f"/proc/{os.getppid()}/mem", "r+b").close()
print("HARM")
