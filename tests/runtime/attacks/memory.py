"""Takes more memory than it may."""

data = bytearray(400 * 2**20)
data[::4096] = bytes(len(data[::4096]))
print("HARM")
