"""Established TCP both ways: echoes what comes in on port 7000, and itself calls the echo server given as HOST PORT.

Numbers of eight bytes travel one at a time; each must come back before the next is sent. What has come in waits in the
kernel for a rest before it is read, so that there is nearly always something on its way that a move must not lose. A
third argument is how many MiB of memory to hold besides.
"""

import os
import socket
import struct
import sys
import threading
import time

import answers
import ticks

NUMBER = struct.Struct("<Q")
# Seconds. Without any, a conversation would keep a core busy.
REST = 0.004
calls = {"sent": 0, "wrong": 0, "lost": None}
served = {"connections": 0, "echoed": 0}


def receive(connection):
    data = b""
    while len(data) < NUMBER.size:
        part = connection.recv(NUMBER.size - len(data))
        if not part:
            raise ConnectionError("closed by the other side")
        data += part
    return data


def call_forever(host, port):
    try:
        with socket.create_connection((host, port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                connection.sendall(NUMBER.pack(calls["sent"]))
                time.sleep(REST)
                calls["wrong"] += NUMBER.unpack(receive(connection))[0] != calls["sent"]
                calls["sent"] += 1
    except OSError as error:
        calls["lost"] = str(error)


def echo_forever(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            time.sleep(REST)
            connection.sendall(receive(connection))
            served["echoed"] += 1
    except OSError:
        connection.close()


def listen_forever(listener):
    while True:
        connection, _ = listener.accept()
        served["connections"] += 1
        threading.Thread(target=echo_forever, args=(connection,), daemon=True).start()


ballast = os.urandom(int(sys.argv[3]) << 20) if len(sys.argv) > 3 else b""
listener = socket.create_server(("0.0.0.0", 7000))
threading.Thread(target=listen_forever, args=(listener,), daemon=True).start()
host, port = sys.argv[1], int(sys.argv[2])
threading.Thread(target=call_forever, args=(host, port), daemon=True).start()
answers.serve({"state": lambda: {"calls": calls, "served": served}})
ticks.start()
threading.Event().wait()
