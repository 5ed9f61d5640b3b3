"""Writes over the journal."""

with open(TARGET["journal"], "a") as file:
    file.write("forged")
print("HARM")
