"""A `keyfob` for tests: it answers as a test says, and writes down how it was called."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback
import unittest
from unittest import mock

# Metaflow loads our package; imported before it, that would load Metaflow half-way.
import metaflow  # noqa: F401

_SCRIPT = """#!{python} -IS
import json, os, sys, time
folder = {folder!r}
arguments = sys.argv[1:]
wants_input = arguments[:1] == ["get"]
call = {{"arguments": arguments, "input": sys.stdin.read() if wants_input else ""}}
with open(folder + "/calls", "a") as calls:
    calls.write(json.dumps(call) + chr(10))
for answer in json.load(open(folder + "/answers")):
    if arguments[: len(answer["arguments"])] == answer["arguments"]:
        sys.stderr.write(answer["explanation"])
        sys.stdout.write(answer["answer"])
        sys.stdout.write("x" * answer["flood"])
        sys.stdout.flush()
        sys.stderr.flush()
        if answer["hangs"]:
            time.sleep(3600)
        if answer["code"] < 0:
            os.kill(os.getpid(), -answer["code"])
        sys.exit(answer["code"])
sys.exit("no answer for " + repr(arguments))
"""


class Keyfob:
    """The program and what it has been asked."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.path = self.folder / "keyfob"
        self.path.write_text(_SCRIPT.format(python=sys.executable, folder=str(folder)))
        self.path.chmod(0o755)
        self.answers = []
        self._write()

    def answers_with(self, arguments, answer="", explanation="", code=0, flood=0, hangs=False):
        """To calls that begin with these arguments, before what was said for them earlier."""
        if not isinstance(answer, str):
            answer = json.dumps(answer)
        words = {"arguments": arguments, "answer": answer, "explanation": explanation}
        self.answers.insert(0, dict(words, code=code, flood=flood, hangs=hangs))
        self._write()

    def calls(self):
        """Each as its arguments and its standard input."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def arguments(self):
        return [call["arguments"] for call in self.calls()]

    def _write(self):
        beside = self.folder / "answers.new"
        beside.write_text(json.dumps(self.answers))
        beside.replace(self.folder / "answers")


class KeyfobCase(unittest.TestCase):
    """A test with a `keyfob` and an environment of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.keyfob = Keyfob(folder.name)
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR", "USER") if name in os.environ}
        environment = dict(
            kept,
            METAFLOW_HOME=folder.name,
            METAFLOW_USER="tester",
            METAFLOW_KEYFOB_PROGRAM=str(self.keyfob.path),
            AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE="/dev/null",
            AWS_SHARED_CREDENTIALS_FILE="/dev/null",
        )
        patched = mock.patch.dict(os.environ, environment, clear=True)
        patched.start()
        self.addCleanup(patched.stop)

    def configure(self, **members):
        """Writes Metaflow's configuration file."""
        (self.folder / "config.json").write_text(json.dumps(members))

    def python(self, script, **variables):
        """Runs a script in a process of its own, below the folder of this test."""
        return self.run_python("-c", script, **variables)

    def run_python(self, *arguments, **variables):
        """The same for anything that Python runs."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=dict(os.environ, **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def printed(self, script, **variables):
        """The JSON that a script prints."""
        run = self.python(script, **variables)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)


def everything_about(exception):
    """All that a traceback with the locals of its frames shows, chained exceptions and their members included."""
    told = "".join(traceback.TracebackException.from_exception(exception, capture_locals=True).format())
    seen = []
    while exception is not None and exception not in seen:
        seen.append(exception)
        told += repr(exception) + repr(exception.args) + repr(vars(exception))
        # A parser's error has the whole document.
        told += repr(getattr(exception, "doc", "")) + repr(getattr(exception, "output", ""))
        exception = exception.__cause__ or exception.__context__
    return told
