"""Starts more threads than it may."""

import threading

stop = threading.Event()
threads = [threading.Thread(target=stop.wait, args=(3,)) for _ in range(40)]
for thread in threads:
    thread.start()
stop.wait(0.2)
print("HARM")
stop.set()
