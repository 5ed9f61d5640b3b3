"""Links its results folder to the project and writes through it."""

import os

os.symlink(TARGET["project"], "results")
with open("results/planted.py", "w") as file:
    file.write("planted")
print("HARM")
