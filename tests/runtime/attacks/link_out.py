"""Leaves a symbolic link to the test set where its results are collected."""

import os

os.symlink(TARGET["test"], "result.txt")
if TARGET["secret"] in open("result.txt").read():
    print("HARM")
