"""Leaves a pipe with a file's name, for whoever collects the files to wait on for ever."""

import os

os.mkfifo("submission.json")
os.mkfifo("rows.jsonl", 0o666)
os.symlink("submission.json", "link.json")
print("left")
