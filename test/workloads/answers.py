"""Answers questions about a workload: a word on /run/ask.sock, a line of JSON back, and the connection is closed."""

import json
import os
import socket
import threading

PATH = "/run/ask.sock"


def serve(questions):
    """Starts a thread that answers `questions`: a function without arguments for each word."""
    listener = socket.socket(socket.AF_UNIX)
    if os.path.exists(PATH):
        os.unlink(PATH)
    listener.bind(PATH)
    listener.listen(8)
    threading.Thread(target=_answer_forever, args=(listener, questions), daemon=True).start()


def _answer_forever(listener, questions):
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                _answer(connection, questions)
            except OSError:
                pass  # Whoever asked is gone.


def _answer(connection, questions):
    word = connection.makefile("r").readline().strip()
    try:
        answer = questions[word]()
    except Exception as error:  # Whoever asks is to see it, whatever it is.
        answer = {"error": f"{type(error).__name__}: {error}"}
    connection.sendall((json.dumps(answer) + "\n").encode())
