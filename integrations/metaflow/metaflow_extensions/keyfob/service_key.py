"""The header that the metadata service wants, from keyfob whenever Metaflow is about to send it."""

import os
import sys
import threading
import time
import weakref

from . import program, remote, settings
from .errors import KeyfobServiceKeyException

HEADER = "x-api-key"
# Seconds that a header is used for without another question.
_FRESH = 120
# Seconds that a refusal stands: Metaflow asks five times in a row.
_REFUSED = 20


def headers():
    """Headers in the place of Metaflow's own, or None where those are to stay."""
    from metaflow.metaflow_config import SERVICE_AUTH_KEY, SERVICE_HEADERS, SERVICE_URL

    if not settings.get(settings.SERVICE) or not SERVICE_URL or remote.platform():
        return None
    if SERVICE_AUTH_KEY is not None or HEADER in SERVICE_HEADERS:
        return None
    return LiveHeaders(SERVICE_HEADERS, SERVICE_URL)


# All of them, by identity: a `dict` has no hash.
_living = weakref.WeakValueDictionary()


class LiveHeaders(dict):
    """Fills itself when it is read, however it is read, and asks nobody before that.

    The key stands in it from the beginning, empty: what only looks whether there is one must find it.
    """

    def __init__(self, others, url, clock=time.monotonic):
        super().__init__(others)
        super().__setitem__(HEADER, "")
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._until = None
        self._refused = None
        _living[id(self)] = self

    def _fill(self):
        with self._lock:
            now = self._clock()
            if self._until is not None and now < self._until:
                return
            if self._refused is None or now >= self._refused[0]:
                self._refused = None
                try:
                    self._ask(now)
                    return
                except KeyfobServiceKeyException as refusal:
                    self._refused = (now + _REFUSED, refusal.with_traceback(None))
                    self._say(refusal)
            refusal = self._refused[1]
        raise refusal

    def _ask(self, now):
        answer = program.ask(["get"], {"uri": self._url}, KeyfobServiceKeyException)
        if not self._take(answer):
            raise KeyfobServiceKeyException(
                "no entry of the configuration of Keyfob has the host of %s" % self._url, "Run: keyfob status"
            )
        self._until = now + _FRESH

    def _take(self, answer):
        """Whether there was a header. Raises nothing: the frame holds it."""
        answered = answer.expose().get("headers")
        if not isinstance(answered, dict):
            return False
        taken = {
            name: values[0]
            for name, values in answered.items()
            if isinstance(values, list) and values and isinstance(values[0], str)
        }
        if not taken:
            return False
        # In this order: a process that is forked off in between finds a header to ask for.
        super().update(taken)
        if HEADER not in taken:
            super().pop(HEADER, None)
        return True

    @staticmethod
    def _say(refusal):
        # Metaflow drops what is raised at some of these places, and says only that the service is not reachable.
        sys.stderr.write("keyfob: %s\n" % refusal.message.replace("\n", " "))

    def copy(self):
        self._fill()
        return dict(super().items())

    def items(self):
        self._fill()
        return super().items()

    def values(self):
        self._fill()
        return super().values()

    def keys(self):
        self._fill()
        return super().keys()

    def get(self, name, default=None):
        self._fill()
        return super().get(name, default)

    def __getitem__(self, name):
        self._fill()
        return super().__getitem__(name)

    # With this one of our own, `dict(headers)`, `{**headers}` and `update` use the methods above too.
    def __iter__(self):
        self._fill()
        return super().__iter__()

    def __repr__(self):
        return "<headers with a key of Keyfob>"

    def __reduce__(self):
        raise TypeError("headers with a key stay in this process")


def _begin_anew():
    # Another thread may have held a lock when this process was forked off.
    for headers in list(_living.values()):
        headers._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
