"""Runs the `keyfob` program, which reaches the agent: this package never speaks to the agent itself."""

import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

from . import settings
from .errors import KeyfobException
from .hidden import Hidden

# Seconds. Keyfob answers in two, and in five where it has to start its agent.
TIMEOUT = 15
# Bytes of an answer. The longest is a Metaflow configuration of some dozen members.
LONGEST_ANSWER = 1024 * 1024
# Bytes of an explanation.
LONGEST_EXPLANATION = 16 * 1024

DOCTOR = "Run: keyfob doctor"
NEWER = "Next: install the newest Keyfob, then run: keyfob --version"


def ask(arguments, request=None, error=KeyfobException):
    """Runs `keyfob ARGUMENTS` and returns the JSON object of its answer, hidden.

    `request` is an object for its standard input. No secret may be among the arguments: other programs see them. Raises
    `error` with what keyfob says.
    """
    program = find(error)
    entry = " ".join(arguments[:2])
    outcome = _run([program] + arguments, request)
    if isinstance(outcome, str):
        raise error("`%s` %s" % (program, outcome), DOCTOR)
    if outcome.code != 0:
        raise error(*_refusal(program, entry, outcome))
    answer = _object_of(outcome.answer)
    if answer is None:
        raise error("the answer of `keyfob %s` is none that this extension knows" % entry, NEWER)
    return answer


def option(name, value):
    """`--NAME VALUE` as arguments. What would be read as an option of its own is refused."""
    if value.startswith("-"):
        raise KeyfobException("`%s` is no value for `--%s`" % (value, name), "Run: keyfob --help")
    return ["--" + name, value]


def find(error=KeyfobException):
    """The absolute path of the program. One that depends on the working folder would be another in each repository."""
    named = settings.get(settings.PROGRAM)
    if named:
        program, what = _named(named)
    else:
        program, what = _of_path()
    if program is None:
        raise error(
            what, "Next: install Keyfob, or name its program: export %s=/path/to/keyfob" % settings.PROGRAM
        )
    return program


def _named(named):
    """The program that is meant, or None and why not."""
    path = os.path.expanduser(named)
    if not _is_absolute(path):
        return None, "`%s` (%s) is no absolute path" % (named, settings.PROGRAM)
    return shutil.which(path), "`%s` (%s) is no program that can be run" % (named, settings.PROGRAM)


def _of_path():
    """As `which`, which on Windows looks in the working folder first, and takes empty and relative members everywhere."""
    members = os.environ.get("PATH", os.defpath).split(os.pathsep)
    name = "keyfob.exe" if os.name == "nt" else "keyfob"
    for member in filter(_is_absolute, members):
        program = shutil.which(os.path.join(member, name))
        if program:
            return program, None
    what = "the program `keyfob` is not on the PATH"
    return None, what if all(map(_is_absolute, members)) else what + ", whose empty and relative members do not count"


def _is_absolute(path):
    # On Windows `os.path` took a path without a drive for one, up to Python 3.12.
    return pathlib.PurePath(path).is_absolute()


class _Outcome:
    """What a program that has ended left behind."""

    __slots__ = ("code", "answer", "explanation")

    def __init__(self, code, answer, explanation):
        self.code = code
        self.answer = answer
        self.explanation = explanation


def _run(command, request):
    """The outcome, or half a sentence that says why there is none."""
    standard_input = json.dumps(request).encode() if request is not None else b""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as failure:
        return "cannot be started: %s" % (failure.strerror or type(failure).__name__)
    readers = [_Reader(process.stdout, LONGEST_ANSWER), _Reader(process.stderr, LONGEST_EXPLANATION)]
    deadline = time.monotonic() + TIMEOUT
    try:
        _write(process.stdin, standard_input)
        # A program that it has left behind may hold the pipes; the answer is complete when it has ended itself.
        code = _wait(process, readers, deadline)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code is None:
        return "did not answer within %d s" % TIMEOUT
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    if any(reader.is_alive() or reader.failed for reader in readers):
        return "did not end its answer"
    if readers[0].is_too_long():
        return "answered with more than %d bytes" % LONGEST_ANSWER
    return _Outcome(code, Hidden(bytes(readers[0].content)), bytes(readers[1].content))


def _write(stream, content):
    try:
        stream.write(content)
    except OSError:
        # It has ended before it read all of it, and says why.
        pass
    finally:
        _close(stream)


def _close(stream):
    try:
        stream.close()
    except OSError:
        pass


def _wait(process, readers, deadline):
    while not readers[0].is_too_long():
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        try:
            return process.wait(min(left, 1.0))
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return process.wait()


class _Reader(threading.Thread):
    """Reads a stream up to a bound, so that neither of two streams keeps the program waiting."""

    def __init__(self, stream, longest):
        super().__init__(daemon=True)
        self.stream = stream
        self.longest = longest
        self.content = bytearray()
        self.failed = False
        self.start()

    def run(self):
        try:
            while not self.is_too_long():
                piece = os.read(self.stream.fileno(), 65536)
                if not piece:
                    break
                self.content += piece[: self.longest + 1 - len(self.content)]
            self.stream.close()
        except OSError:
            self.failed = True

    def is_too_long(self):
        return len(self.content) > self.longest


def _object_of(answer):
    """A JSON object, hidden, or None. The error of a parser would carry all that it was given, so it ends here."""
    try:
        content = json.loads(answer.expose())
    except (ValueError, RecursionError):
        return None
    return Hidden(content) if isinstance(content, dict) else None


def _refusal(program, entry, outcome):
    """The sentence that keyfob wrote, and its next step."""
    text = outcome.explanation.decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.startswith("keyfob: ")]
    if not lines:
        if outcome.code == 2:
            return "`%s` does not know `keyfob %s`: it is older than this extension" % (program, entry), NEWER
        if outcome.code < 0:
            return "`keyfob %s` was ended by signal %d" % (entry, -outcome.code), DOCTOR
        return "`keyfob %s` failed with exit code %d and no word" % (entry, outcome.code), DOCTOR
    sentence = lines[-1][len("keyfob: ") :]
    for mark in ("Run: ", "Next: "):
        before, found, after = sentence.rpartition(". " + mark)
        if found:
            return before, mark + after
    return sentence, DOCTOR
