"""A tree of processes: a ring of pipes through four of them, signals to each, a session and a grandchild of its own,
a stopped child, one that died unreaped, and one with a signal pending.

The parent sends a number round the ring; every child adds one. After each lap it signals each child, which counts.
"""

import os
import signal
import struct
import time

import answers
import ticks

RING = 4
NUMBER = struct.Struct("<Q")


def relay(me, read, write):
    """Passes numbers on, plus one; counts SIGUSR1 in a file. A handler may be interrupted by itself: it makes one call."""
    signals = 0
    file = os.open(f"/data/signals-{me}", os.O_RDWR | os.O_CREAT, 0o644)

    def count(*_):
        nonlocal signals
        signals += 1
        os.pwrite(file, b"%012d" % signals, 0)

    signal.signal(signal.SIGUSR1, count)
    os.write(ready[1], b"r")
    while True:
        (value,) = NUMBER.unpack(os.read(read, NUMBER.size))
        os.write(write, NUMBER.pack(value + 1))


def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    return pid


def leader(read, write):
    """A session of its own; the ring goes through its child, so it hands on what it gets itself."""
    os.setsid()
    inner, outer = os.pipe(), (read, write)
    child(lambda: relay(9, inner[0], outer[1]))
    relay(RING - 1, outer[0], inner[1])


def pending():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.kill(os.getpid(), signal.SIGUSR1)
    os.write(ready[1], b"r")
    while True:
        time.sleep(60)


def sleeper():
    os.write(ready[1], b"r")
    while True:
        time.sleep(60)


ready = os.pipe()
pipes = [os.pipe() for _ in range(RING + 1)]
children = [child(lambda n=n: relay(n, pipes[n][0], pipes[n + 1][1])) for n in range(RING - 1)]
children.append(child(lambda: leader(pipes[RING - 1][0], pipes[RING][1])))
blocked = child(pending)
stopped = child(sleeper)
dead = child(lambda: os.write(ready[1], b"r"))
for _ in range(RING + 1 + 3):
    os.read(ready[0], 1)
os.kill(stopped, signal.SIGSTOP)

laps = 0
wrong = 0
signalled = 0


def status(pid, name):
    with open(f"/proc/{pid}/status") as file:
        return next(line.split(":\t")[1].strip() for line in file if line.startswith(name + ":"))


def signals(me):
    with open(f"/data/signals-{me}") as file:
        return int(file.read() or 0)


def state():
    return {
        "laps": laps,
        "wrong": wrong,
        "signalled": signalled,
        "signals": [signals(me) for me in range(RING)],
        "children": [f"{pid} {status(pid, 'State')[0]}" for pid in children],
        "stopped": status(stopped, "State")[0],
        "dead": status(dead, "State")[0],
        "pending": int(status(blocked, "SigPnd"), 16) | int(status(blocked, "ShdPnd"), 16),
        "sessions": [os.getsid(pid) for pid in children],
    }


answers.serve({"state": state})
ticks.start()
while True:
    os.write(pipes[0][1], NUMBER.pack(laps))
    (value,) = NUMBER.unpack(os.read(pipes[RING][0], NUMBER.size))
    wrong += value != laps + RING + 1
    laps += 1
    for pid in children:
        os.kill(pid, signal.SIGUSR1)
    signalled += 1
    time.sleep(0.005)
