"""Makes a file of a terabyte that holds nothing."""

with open("large", "wb") as file:
    file.truncate(2**40)
print("HARM")
