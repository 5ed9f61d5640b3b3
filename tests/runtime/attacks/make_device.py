"""Makes a device file of the machine's first disk."""

import os
import stat

os.mknod("disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0))
os.unlink("disk")
print("HARM")
