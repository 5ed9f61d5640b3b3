"""Writes a setting of the kernel's (the value that it has)."""

with open("/proc/sys/kernel/panic", "r+") as file:
    value = file.read()
    file.seek(0)
    file.write(value)
print("HARM")
