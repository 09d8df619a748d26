"""Counts in memory and in a file, always memory first."""

import os
import time

import answers
import ticks

counter = 0


def state():
    with open("/data/counter") as file:
        return {"memory": counter, "file": int(file.read()), "pid": os.getpid()}


file = os.open("/data/counter", os.O_RDWR | os.O_CREAT, 0o644)
os.pwrite(file, b"%020d" % 0, 0)
answers.serve({"state": state})
ticks.start()
while True:
    counter += 1
    # Always 20 bytes: only the contents tell a copier that this file has changed.
    os.pwrite(file, b"%020d" % counter, 0)
    time.sleep(0.001)
