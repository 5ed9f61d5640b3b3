"""Looks for the project's folder, to see what is in it."""

import os

if "test.jsonl" in os.listdir(TARGET["project"]):
    print("HARM")
