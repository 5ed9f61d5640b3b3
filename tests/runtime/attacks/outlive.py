"""Leaves a daemon behind: forks twice, in a session of its own."""

import os

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.execvp("sleep", ["sleep", TARGET["sleep"]])
    os._exit(0)
