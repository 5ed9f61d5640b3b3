"""Links the test set itself into its own folder."""

import os

os.link(TARGET["test"], "result.txt")
if TARGET["secret"] in open("result.txt").read():
    print("HARM")
