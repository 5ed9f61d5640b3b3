"""Calls the parent and never reads the answers, so that its pipe fills."""

import os

while True:
    os.write(3, b'{"call": "large", "args": [], "kwargs": {}}\n')
