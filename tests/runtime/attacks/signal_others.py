"""Signals a process that it did not start."""

import os

os.kill(TARGET["victim"], 0)
print("HARM")
