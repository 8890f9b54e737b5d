import contextlib
import io
import json
import os
import subprocess
import sys
import threading

from fake import KeyfobCase, everything_about

from metaflow.exception import MetaflowInternalError
from metaflow_extensions.keyfob import service_key
from metaflow_extensions.keyfob.errors import KeyfobException

KEY = "a-key-that-nobody-may-see"
URL = "https://metadata.example.com/api"
HEADERS = {"x-api-key": KEY, "other": "1"}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class ServiceKey(KeyfobCase):
    def setUp(self):
        super().setUp()
        self.keyfob.answers_with(["get"], {"headers": {"x-api-key": [KEY]}})
        self.clock = Clock()
        self.headers = service_key.LiveHeaders({"other": "1"}, URL, self.clock)

    def test_every_way_of_reading_has_the_key(self):
        ways = {
            "copy": lambda headers: headers.copy(),
            "dict": dict,
            "items": lambda headers: dict(headers.items()),
            "json": lambda headers: json.loads(json.dumps(headers)),
            "indented json": lambda headers: json.loads(json.dumps(headers, indent=1, sort_keys=True)),
            "stars": lambda headers: {**headers},
            "update": lambda headers: (lambda into: into.update(headers) or into)({}),
            "keys": lambda headers: {name: headers[name] for name in headers.keys()},
            "iteration": lambda headers: {name: headers.get(name) for name in headers},
            "values": lambda headers: dict(zip(headers, headers.values())),
        }
        for name, way in ways.items():
            with self.subTest(name):
                self.assertEqual(way(service_key.LiveHeaders({"other": "1"}, URL)), HEADERS)
                self.assertEqual(way(service_key.LiveHeaders({}, URL)), {"x-api-key": KEY})
        self.assertEqual(len(self.keyfob.calls()), 2 * len(ways))

    def test_requests_sends_the_key(self):
        import requests

        prepared = requests.Session().prepare_request(requests.Request("GET", URL, headers=self.headers))
        self.assertEqual(prepared.headers["x-api-key"], KEY)

    def test_only_reading_asks(self):
        self.assertTrue(self.headers)
        self.assertEqual(len(self.headers), 2)
        self.assertIn("x-api-key", self.headers)
        self.assertNotIn(KEY, repr(self.headers))
        self.assertEqual(self.keyfob.calls(), [])

    def test_the_address_of_the_service_is_asked_for(self):
        self.headers.copy()
        call = self.keyfob.calls()[0]
        self.assertEqual((call["arguments"], json.loads(call["input"])), (["get"], {"uri": URL}))

    def test_a_key_is_used_for_a_while_and_then_asked_for_again(self):
        for _ in range(5):
            self.headers.copy()
        self.assertEqual(len(self.keyfob.calls()), 1)
        self.keyfob.answers_with(["get"], {"headers": {"x-api-key": ["the-next-one"]}})
        self.clock.now = 300.0
        self.assertEqual(self.headers.copy()["x-api-key"], "the-next-one")

    def test_threads_ask_once(self):
        threads = [threading.Thread(target=self.headers.copy) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.keyfob.calls()), 1)

    def test_a_process_that_is_forked_while_another_thread_asks_has_the_key_too(self):
        told = subprocess.run(
            [sys.executable, "-c", self.FORK], env=os.environ, capture_output=True, text=True, timeout=60
        )
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertEqual(json.loads(told.stdout), [HEADERS, HEADERS])

    # The alarm is there for a child that waits for a lock which nobody holds any more.
    FORK = (
        "import json, os, signal, sys, threading\n"
        "import metaflow\n"
        "from metaflow_extensions.keyfob import program, service_key\n"
        "from metaflow_extensions.keyfob.hidden import Hidden\n"
        "asks, forked, parent = threading.Event(), threading.Event(), os.getpid()\n"
        "def ask(*arguments):\n"
        "    asks.set()\n"
        "    if os.getpid() == parent:\n"
        "        forked.wait()\n"
        "    return Hidden({'headers': {'x-api-key': [%r]}})\n"
        "program.ask = ask\n"
        "both = [service_key.LiveHeaders({'other': '1'}, %r) for _ in range(2)]\n"
        "thread = threading.Thread(target=both[0].copy)\n"
        "thread.start()\n"
        "asks.wait()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(20)\n"
        "    sys.stdout.write(json.dumps([dict(headers) for headers in both]))\n"
        "    sys.stdout.flush()\n"
        "    os._exit(0)\n"
        "forked.set()\n"
        "thread.join()\n"
        "sys.exit(0 if os.waitpid(child, 0)[1] == 0 else 'the child never came back')\n"
    ) % (KEY, URL)

    def test_a_header_is_never_without_its_name_while_it_is_renewed(self):
        self.headers.copy()
        seen = []

        def watch(frame, event, argument):
            if frame.f_code.co_name == "_take":
                seen.append(service_key.HEADER in self.headers)
            return watch

        self.clock.now = 300.0
        before = sys.gettrace()
        sys.settrace(watch)
        try:
            self.headers.copy()
        finally:
            sys.settrace(before)
        self.assertTrue(seen)
        self.assertTrue(all(seen))

    def test_a_refusal_is_said_raised_at_once_and_asked_again_later(self):
        said = "keyfob: no token is held for `token.metaflow`. Run: keyfob token add metaflow\n%s\n" % KEY
        self.keyfob.answers_with(["get"], explanation=said, code=3)
        told = io.StringIO()
        for _ in range(3):
            with contextlib.redirect_stderr(told), self.assertRaises(KeyfobException) as caught:
                self.headers.copy()
        # One that Metaflow does not answer with more of the same.
        self.assertIsInstance(caught.exception, MetaflowInternalError)
        self.assertEqual(str(caught.exception).splitlines()[-1], "Run: keyfob token add metaflow")
        self.assertNotIn(KEY, everything_about(caught.exception))
        self.assertEqual(told.getvalue().count("\n"), 1)
        self.assertEqual(len(self.keyfob.calls()), 1)
        self.keyfob.answers_with(["get"], {"headers": {"x-api-key": [KEY]}})
        self.clock.now = 60.0
        self.assertEqual(self.headers.copy(), HEADERS)

    def test_an_answer_with_no_header_is_refused(self):
        for answer in [{}, {"headers": {}}, {"headers": {"x-api-key": []}}, {"headers": [KEY]}]:
            self.keyfob.answers_with(["get"], answer)
            headers = service_key.LiveHeaders({}, URL)
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(KeyfobException) as caught:
                headers.copy()
            self.assertNotIn(KEY, everything_about(caught.exception))

    READ = (
        "import json, os\nfrom metaflow.metaflow_config import SERVICE_HEADERS\n"
        "before = os.path.exists(os.environ['METAFLOW_HOME'] + '/calls')\n"
        "print(json.dumps([before, SERVICE_HEADERS]))"
    )

    def test_metaflow_has_the_key_and_its_import_asks_nobody(self):
        self.configure(METAFLOW_SERVICE_URL=URL, METAFLOW_KEYFOB_SERVICE="token.metaflow")
        self.assertEqual(self.printed(self.READ), [False, {"x-api-key": KEY}])
        self.assertEqual(len(self.keyfob.calls()), 1)

    def test_the_heartbeat_of_metaflow_sends_the_key(self):
        self.configure(METAFLOW_SERVICE_URL=URL, METAFLOW_KEYFOB_SERVICE="token.metaflow")
        script = (
            "import json\ntry:\n    from metaflow.metadata_provider.heartbeat import MetadataHeartBeat\n"
            "except ImportError:\n    from metaflow.metadata.heartbeat import MetadataHeartBeat\n"
            "print(json.dumps(MetadataHeartBeat().headers.copy()))"
        )
        self.assertEqual(self.printed(script), {"x-api-key": KEY})

    def test_a_key_that_is_set_stays_as_it_is(self):
        self.configure(METAFLOW_SERVICE_URL=URL, METAFLOW_KEYFOB_SERVICE="token.metaflow")
        self.assertEqual(self.printed(self.READ, METAFLOW_SERVICE_AUTH_KEY="set"), [False, {"x-api-key": "set"}])
        set_headers = json.dumps({"x-api-key": "remote"})
        self.assertEqual(
            self.printed(self.READ, METAFLOW_SERVICE_HEADERS=set_headers), [False, {"x-api-key": "remote"}]
        )
        self.assertEqual(self.keyfob.calls(), [])

    def test_a_setting_that_reads_as_an_option_ends_the_import(self):
        self.configure(METAFLOW_SERVICE_URL=URL, METAFLOW_KEYFOB_SERVICE="--outerbounds.prod")
        run = self.python("import metaflow")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("METAFLOW_KEYFOB_SERVICE", run.stderr)
        self.assertEqual(run.stderr.splitlines()[-1].strip(), "Run: keyfob setup metaflow")
        self.assertEqual(self.keyfob.calls(), [])

    def test_nothing_changes_where_no_entry_is_set_up_or_no_agent_is(self):
        self.configure(METAFLOW_SERVICE_URL=URL)
        self.assertEqual(self.printed(self.READ), [False, {}])
        os.environ["METAFLOW_KEYFOB_SERVICE"] = "token.metaflow"
        self.assertEqual(self.printed(self.READ, METAFLOW_RUNTIME_ENVIRONMENT="kubernetes"), [False, {}])
        self.assertEqual(self.keyfob.calls(), [])
