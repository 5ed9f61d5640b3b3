"""Leaves a child behind that no polite signal ends."""

import os
import signal

if os.fork() == 0:
    for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(name, signal.SIG_IGN)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.execvp("sleep", ["sleep", TARGET["sleep"]])
