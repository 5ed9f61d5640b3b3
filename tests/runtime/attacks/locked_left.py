"""Leaves folders that nobody may enter or empty, and a working folder that is gone."""

import os

os.makedirs("a/b/c")
open("a/b/c/file", "w").close()
for path in ("a/b/c", "a/b", "a"):
    os.chmod(path, 0)
os.makedirs("d")
os.chdir("d")
os.rmdir("../d")
print("left")
