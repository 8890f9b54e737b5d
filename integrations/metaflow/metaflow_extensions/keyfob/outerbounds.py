"""The configuration of Outerbounds, given to its extension before that looks for a file with a key in it."""

import importlib.util
import json
import os

from . import private_names, remote, settings

# Why there is none, for `check`.
_failure = None


def resolve():
    """Asks keyfob for it where the service key is an `[outerbounds.*]` entry, and nobody has given it yet.

    Raises nothing: Metaflow would drop an exception at this point, and go on without. `check` raises it later.
    """
    global _failure
    name = settings.get(settings.SERVICE)
    if name is None or not name.startswith("outerbounds.") or remote.platform():
        return
    if os.environ.get(private_names.RESOLVED_CONFIGURATION) or not installed():
        return
    from . import program
    from .errors import KeyfobException

    try:
        configuration = program.ask(["metaflow", name])
    except KeyfobException as failure:
        _failure = failure.with_traceback(None)
        return
    os.environ[private_names.RESOLVED_CONFIGURATION] = json.dumps(configuration.expose())


def check():
    """Raises why there is no configuration."""
    if _failure is not None:
        raise _failure


def installed():
    """Whether Outerbounds' extension is."""
    return importlib.util.find_spec(private_names.EXTENSION) is not None
