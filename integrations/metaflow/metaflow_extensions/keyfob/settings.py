"""What a person sets, with the names that `keyfob setup metaflow` writes.

A variable of the environment counts before Metaflow's own configuration. The file of that is read here too: with
Outerbounds the configuration that Metaflow sees is another one, and early in its import it sees none yet.
"""

import json
import os
import re
import sys

# The `[aws.*]` entry whose credentials AWS clients get.
AWS = "METAFLOW_KEYFOB_AWS"
# The region of clients where nothing else names one.
REGION = "METAFLOW_KEYFOB_REGION"
# The entry that has the key of the metadata service.
SERVICE = "METAFLOW_KEYFOB_SERVICE"
# The `keyfob` program.
PROGRAM = "METAFLOW_KEYFOB_PROGRAM"

# Bytes of a configuration file; more is not read.
_LONGEST_FILE = 1024 * 1024
# The folder that `keyfob exec` makes: its file has what a service said, and a service sets nothing of ours. That command
# gives the settings in the environment.
_OF_SERVICE = re.compile("keyfob-exec-[0-9a-f]{16}")


def get(name):
    """The value of a setting, or None. One that a program would read as an option is refused."""
    value = _find(name)
    # Of the program an absolute path alone is taken (`program.find`).
    if value is not None and value.startswith("-") and name != PROGRAM:
        from .errors import KeyfobException

        raise KeyfobException("`%s` (%s) cannot begin with `-`" % (value, name), "Run: keyfob setup metaflow")
    return value


def _find(name):
    value = os.environ.get(name)
    if value is None and name != PROGRAM:
        value = _of_project(name)
    if value is None:
        value = _of_file(name)
    return value if isinstance(value, str) and value else None


def path():
    """Metaflow's configuration file for this environment, whether or not it is there."""
    home = os.environ.get("METAFLOW_HOME", "~/.metaflowconfig")
    profile = os.environ.get("METAFLOW_PROFILE")
    name = "config_%s.json" % profile if profile else "config.json"
    return os.path.expanduser(os.path.join(home, name))


def _of_project(name):
    # A folder of somebody else's flow may choose among entries, never the program that is run.
    functions = sys.modules.get("metaflow.metaflow_config_funcs")
    project = getattr(functions, "METAFLOW_LOCAL_CONFIG", None)
    return project.get(name) if isinstance(project, dict) else None


def _of_file(name):
    file_path = os.path.abspath(path())
    if _OF_SERVICE.fullmatch(os.path.basename(os.path.dirname(file_path))):
        return None
    content = _read(file_path)
    return content.get(name) if isinstance(content, dict) else None


def _read(file_path):
    try:
        with open(file_path, "rb") as file:
            return json.loads(file.read(_LONGEST_FILE))
    except (OSError, ValueError):
        # Metaflow reads the same file and says what is wrong with it.
        return None
