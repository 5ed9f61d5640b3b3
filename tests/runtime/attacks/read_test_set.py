"""Reads the test rows by the path that the project has them at."""

if TARGET["secret"] in open(TARGET["test"]).read():
    print("HARM")
