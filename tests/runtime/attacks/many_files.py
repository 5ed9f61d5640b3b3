"""Uses up the file system's entries rather than its bytes."""

import time

for number in range(6_000):
    open(str(number), "w").close()
time.sleep(0.2)
print("HARM")
