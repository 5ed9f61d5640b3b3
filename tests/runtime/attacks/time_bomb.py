"""Ends at once, and has a process that does harm a second later."""

import os
import time

if os.fork() == 0:
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    time.sleep(0.5)
    with open(TARGET["bomb"], "w") as file:
        file.write("gone off")
    os._exit(0)
