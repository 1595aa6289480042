"""How a peer is driven: a child that answers each line of JSON on stdin with one on stdout.

The first line sets it up; the answer says what it is ({"name": …}). Every further line is
{"do": NAME, …}, which calls the peer's method NAME with the rest. {"missing": …} tells that a package is
not installed, {"error": …} that the work failed. The end of stdin ends the child.
"""

import json
import os
import signal
import sys


def serve(make_peer):
    """Serves `make_peer(**setup)`, which must have `facts`, until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both: the parent decides
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not stand between the answers

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    peer = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if peer is None:
                peer = make_peer(**request)
                answer(peer.facts)
            else:
                answer(getattr(peer, request.pop("do"))(**request))
        except ModuleNotFoundError as error:
            answer({"missing": f"the Python package {error.name} is not installed"})
        except Exception as error:  # whatever it is, the parent tells it in one line
            answer({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"})
