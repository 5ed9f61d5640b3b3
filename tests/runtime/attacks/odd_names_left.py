"""Leaves files whose names are no text, climb out of the folder, or break lines of a log."""

import os

for name in (b"\xff\xfe", b"a\nb", b"..\\..\\up", b"-rf", b"\x1b[2J", b"n" * 255, b"a\x7f b"):
    with open(name, "wb") as file:
        file.write(b"x")
os.makedirs(b"\xff/..evil/\n", exist_ok=True)
print("left")
