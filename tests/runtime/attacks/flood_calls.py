"""Sends a message to the parent that never ends."""

import os

while True:
    os.write(3, b"x" * 65536)
