"""Reads who has an account on the machine, and their passwords' hashes."""

print("HARM" if "root:" in open("/etc/passwd").read() + open("/etc/shadow").read() else "")
