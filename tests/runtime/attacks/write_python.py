"""Plants a module in the Python that everyone uses."""

import os

path = os.path.join(os.path.dirname(os.__file__), TARGET["mark"] + ".py")
open(path, "w").close()
os.unlink(path)
print("HARM")
