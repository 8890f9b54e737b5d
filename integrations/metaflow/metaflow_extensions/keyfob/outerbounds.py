"""The configuration of Outerbounds, given to its extension before that looks for a file with a key in it."""

import importlib.util
import json
import os
import sys

from . import private_names, remote, settings

# Why there is none, for `check`.
_failure = None


def resolve():
    """Asks keyfob for it where the service key is an `[outerbounds.*]` entry, and nobody has given it yet.

    Raises nothing: Metaflow would drop an exception at this point, and go on without. `check` raises it later.
    """
    global _failure
    from .errors import KeyfobException

    try:
        name = settings.get(settings.SERVICE)
    except KeyfobException as failure:
        _failure = failure.with_traceback(None)
        return
    if name is None or not name.startswith("outerbounds.") or remote.platform():
        return
    if os.environ.get(private_names.RESOLVED_CONFIGURATION) or not installed():
        return
    from . import program

    try:
        configuration = program.ask(["metaflow", name])
    except KeyfobException as failure:
        _failure = failure.with_traceback(None)
        return
    os.environ[private_names.RESOLVED_CONFIGURATION] = json.dumps(configuration.expose())


def check():
    """Raises why there is no configuration.

    Metaflow shows its exceptions without a traceback, but for those of its import, which nobody catches. This one is shown alike.
    """
    if _failure is not None:
        _show_as_metaflow_does(_failure)
        raise _failure


def _show_as_metaflow_does(failure):
    """For the end of this process by this very exception, and for nothing else."""
    before = sys.excepthook

    def show(kind, exception, traceback):
        if sys.excepthook is show:
            sys.excepthook = before
        if exception is not failure:
            before(kind, exception, traceback)
            return
        lines = ["%s:" % failure.headline] + failure.message.splitlines()
        sys.stderr.write("".join("    %s\n" % line for line in lines))

    sys.excepthook = show


def installed():
    """Whether Outerbounds' extension is."""
    return importlib.util.find_spec(private_names.EXTENSION) is not None
