"""Writes files without pause and remembers what each must hold.

An append-only journal of fsynced records, a record rewritten in place at its old size, files that are made,
renamed, truncated and deleted, one that is open but deleted, and a symbolic link that is moved about.
"""

import os
import threading
import time
import zlib

import answers
import ticks

ROOT = "/data/files"
expected = {}
acknowledged = 0
lock = threading.Lock()


def put(name, data):
    with open(f"{ROOT}/{name}", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    expected[name] = zlib.crc32(data)


def drop(name):
    if name in expected:
        os.unlink(f"{ROOT}/{name}")
        del expected[name]


def step(number):
    """One round of changes; every file that is not mentioned here stays as it is."""
    global acknowledged
    os.write(journal, b"%012d %08x\n" % (number, zlib.crc32(b"%d" % number)))
    os.fsync(journal)
    os.pwrite(fixed, b"%064d" % number, 0)
    os.pwrite(ghost, b"%064d" % number, 0)
    put(f"new-{number}", b"%d" % number * 100)
    if number > 4:
        os.rename(f"{ROOT}/new-{number - 4}", f"{ROOT}/old-{number - 4}")
        expected[f"old-{number - 4}"] = expected.pop(f"new-{number - 4}")
    drop(f"old-{number - 40}")
    put("shrinks", b"x" * (1000 - number % 1000))
    replace_link(f"old-{number - 4}")
    acknowledged = number


def replace_link(target):
    os.symlink(target, f"{ROOT}/link.new")
    os.rename(f"{ROOT}/link.new", f"{ROOT}/link")


def verify():
    with lock:
        wrong = [name for name, crc in expected.items() if crc_of(name) != crc]
        surplus = set(os.listdir(ROOT)) - set(expected) - {"journal", "fixed", "link"}
        return {
            "acknowledged": acknowledged,
            "wrong": wrong,
            "surplus": sorted(surplus),
            "journal": records(),
            "fixed": int(os.pread(fixed, 64, 0)) == acknowledged,
            "fixedByName": int(open(f"{ROOT}/fixed").read()) == acknowledged,
            "ghost": int(os.pread(ghost, 64, 0)) == acknowledged,
            "link": os.readlink(f"{ROOT}/link") == f"old-{acknowledged - 4}",
        }


def records():
    """How many records the journal holds, read by its name; -1 when one is not what was written."""
    with open(f"{ROOT}/journal", "rb") as file:
        lines = file.read().splitlines()
    good = all(line == b"%012d %08x" % (n + 1, zlib.crc32(b"%d" % (n + 1))) for n, line in enumerate(lines))
    return len(lines) if good else -1


def crc_of(name):
    try:
        with open(f"{ROOT}/{name}", "rb") as file:
            return zlib.crc32(file.read())
    except FileNotFoundError:
        return None


os.makedirs(ROOT, exist_ok=True)
journal = os.open(f"{ROOT}/journal", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
fixed = os.open(f"{ROOT}/fixed", os.O_RDWR | os.O_CREAT, 0o644)
ghost = os.open(f"{ROOT}/ghost", os.O_RDWR | os.O_CREAT, 0o644)
os.unlink(f"{ROOT}/ghost")
for number in range(1, 6):
    step(number)
answers.serve({"verify": verify, "state": lambda: {"acknowledged": acknowledged}})
ticks.start()
while True:
    number += 1
    with lock:
        step(number)
    time.sleep(0.005)
