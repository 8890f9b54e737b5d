"""Tasks that run elsewhere: Metaflow takes this package along, but no agent is there."""

import os
import sys

# Metaflow names the platform in it, for each task that it sends to one; local tasks have none.
_PLATFORM = "METAFLOW_RUNTIME_ENVIRONMENT"
# This is in every pod. Alone it may have been left in a shell or an image, so it counts with the rest of what Metaflow has
# Kubernetes write into one, without which a task of Metaflow ends at once.
_POD = "METAFLOW_KUBERNETES_WORKLOAD"
_REST_OF_POD = (
    "METAFLOW_KUBERNETES_POD_NAME",
    "METAFLOW_KUBERNETES_POD_NAMESPACE",
    "METAFLOW_KUBERNETES_POD_ID",
    "METAFLOW_KUBERNETES_SERVICE_ACCOUNT_NAME",
    "METAFLOW_KUBERNETES_NODE_IP",
)
# Which task this is, and which attempt at it: in each task on a platform, for its logs.
_TASK = ("MF_PATHSPEC", "MF_ATTEMPT")
# Ours, and inherited: the task that has said it, so that not each of its processes does.
_SAID = "METAFLOW_KEYFOB_SAID_REMOTE"

# Whether this process has: what is no task of Metaflow's has nothing that tells it from another.
_said = False


def platform():
    """Where this task runs, or None on the machine of whoever started it."""
    return _decided()[0]


def say_once(whose):
    """One line for the task's log, that AWS is reached without Keyfob."""
    global _said
    task = "/".join(os.environ.get(name, "") for name in _TASK)
    is_task = all(os.environ.get(name) for name in _TASK)
    if _said or (is_task and os.environ.get(_SAID) == task):
        return
    _said = True
    if is_task:
        os.environ[_SAID] = task
    sys.stderr.write(
        "keyfob: this task runs on %s (%s), where no agent is; its AWS clients use %s.\n" % (_decided() + (whose,))
    )


def _decided():
    """The platform, and the variable that says so."""
    name = os.environ.get(_PLATFORM, "local")
    if name not in ("", "local"):
        # It reaches logs and terminals.
        return "".join(letter if letter.isalnum() or letter in "-_." else "?" for letter in name[:40]), _PLATFORM
    if all(os.environ.get(variable) for variable in (_POD,) + _REST_OF_POD):
        return "kubernetes", _POD
    return None, None
