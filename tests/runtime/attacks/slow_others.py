"""Puts another process behind all others, or on one processor with them."""

import os

found = os.path.exists(f"/proc/{TARGET['victim']}")
pid = TARGET["victim"] if found else os.getppid()
for slow in (
    lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
    lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(pid), 19),
    lambda: os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))}),
    lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
):
    try:
        slow()
    except OSError:
        continue
    print("HARM")
