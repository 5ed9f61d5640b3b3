"""Takes away from another process what it may open, and for how long it may work."""

import os
import resource

found = os.path.exists(f"/proc/{TARGET['victim']}")
pid = TARGET["victim"] if found else os.getppid()
for kind, value in ((resource.RLIMIT_CPU, 60), (resource.RLIMIT_NOFILE, 40)):
    try:
        resource.prlimit(pid, kind, (value, value))
    except OSError:
        continue
    print("HARM")
