"""Tasks that run elsewhere: Metaflow takes this package along, but no agent is there."""

import os
import sys

# Metaflow names the platform in it, for each task that it sends to one; local tasks have none.
_PLATFORM = "METAFLOW_RUNTIME_ENVIRONMENT"
# And this in every pod.
_POD = "METAFLOW_KUBERNETES_WORKLOAD"
# Ours, and inherited: a task says it once, not each of its processes.
_SAID = "METAFLOW_KEYFOB_SAID_REMOTE"


def platform():
    """Where this task runs, or None on the machine of whoever started it."""
    name = os.environ.get(_PLATFORM, "local")
    if name not in ("", "local"):
        return name
    return "kubernetes" if os.environ.get(_POD) else None


def say_once(whose):
    """One line for the task's log, that AWS is reached without Keyfob."""
    if os.environ.get(_SAID):
        return
    os.environ[_SAID] = "1"
    sys.stderr.write(
        "keyfob: this task runs on %s, where no agent is; its AWS clients use %s.\n" % (platform(), whose)
    )
