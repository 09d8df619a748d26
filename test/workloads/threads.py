"""Eight threads that pass a turn round through condition variables, each counting its own turns."""

import os
import threading

import answers
import ticks

THREADS = 8
turn = 0
counts = [0] * THREADS
ids = [0] * THREADS
condition = threading.Condition()


def work(me):
    global turn
    ids[me] = threading.get_native_id()
    while True:
        with condition:
            while turn % THREADS != me:
                condition.wait()
            counts[me] += 1
            turn += 1
            condition.notify_all()


def state():
    with condition:
        return {"counts": list(counts), "turn": turn, "ids": list(ids), "pid": os.getpid()}


for number in range(THREADS):
    threading.Thread(target=work, args=(number,), daemon=True).start()
answers.serve({"state": state})
ticks.start()
threading.Event().wait()
