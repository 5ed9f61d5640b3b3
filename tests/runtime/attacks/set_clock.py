"""Sets the machine's clock (to what it is)."""

import time

time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
print("HARM")
