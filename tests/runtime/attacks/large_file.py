"""Fills the disk."""

with open("large", "wb") as file:
    for _ in range(16):
        file.write(bytes(2**20))
print("HARM")
