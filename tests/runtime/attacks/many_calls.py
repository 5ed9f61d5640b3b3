"""Calls the parent without end."""

while True:
    add(1, 2)
