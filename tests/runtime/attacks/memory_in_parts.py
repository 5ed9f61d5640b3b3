"""Takes more memory than it may by several processes, each below the limit."""

import os
import time

children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        data = bytearray(90 * 2**20)
        data[::4096] = bytes(len(data[::4096]))
        time.sleep(3)
        os._exit(0)
    children.append(child)
time.sleep(1)
print("HARM")
for child in children:
    os.kill(child, 9)
