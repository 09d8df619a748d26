"""Memory (256 MiB, or the first argument's pages) whose every page says which page it is and how often it was written; pages are rewritten all along.

Two tables tell what each page must hold: its number and its generation. Verifying compares all 4096 bytes of each.
"""

import array
import struct
import sys
import threading
import time

import answers
import ticks

PAGE = 4096
PAGES = int(sys.argv[1]) if len(sys.argv) > 1 else 65536
# Pages written again each second, as nearly as a small pause between sixteen of them allows.
RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
TICK_MS = int(sys.argv[3]) if len(sys.argv) > 3 else 1
SEED = 0x9E3779B97F4A7C15
WORDS = struct.Struct("<QQ")


def content(page, generation):
    return WORDS.pack(page ^ SEED, generation) * (PAGE // WORDS.size)


memory = memoryview(bytearray(PAGES * PAGE))
generations = array.array("Q", bytes(8 * PAGES))
lock = threading.Lock()
rewritten = 0


def write(page, generation):
    generations[page] = generation
    memory[page * PAGE : (page + 1) * PAGE] = content(page, generation)


def verify():
    bad = []
    begun = time.monotonic()
    with lock:
        for page in range(PAGES):
            if memory[page * PAGE : (page + 1) * PAGE] != content(page, generations[page]):
                bad.append(page)
    return {
        "pages": PAGES,
        "bad": len(bad),
        "firstBad": bad[:5],
        "rewritten": rewritten,
        "ms": round((time.monotonic() - begun) * 1000),
    }


for number in range(PAGES):
    write(number, 0)
answers.serve({"verify": verify, "state": lambda: {"rewritten": rewritten}})
ticks.start(TICK_MS / 1000)
while True:
    with lock:
        for _ in range(16):
            rewritten += 1
            write((rewritten * 40503) % PAGES, rewritten)
    time.sleep(16 / RATE)
