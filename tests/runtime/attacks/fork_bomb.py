"""Starts more processes than it may (a bomb would not stop at forty)."""

import os
import time

children = []
for _ in range(40):
    child = os.fork()
    if child == 0:
        time.sleep(3)
        os._exit(0)
    children.append(child)
time.sleep(0.2)
print("HARM")
for child in children:
    os.kill(child, 9)
