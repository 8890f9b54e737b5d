import os

from fake import KeyfobCase, everything_about

from metaflow_extensions.keyfob.errors import KeyfobException
from metaflow_extensions.keyfob.plugins.keyfob_secrets import KeyfobSecretsProvider

VALUE = "a-value-that-nobody-may-see"
ROLE = "arn:aws:iam::123456789012:role/x"


class Secrets(KeyfobCase):
    def get(self, name="db", **arguments):
        return KeyfobSecretsProvider().get_secret_as_dict(name, **arguments)

    def refusal(self, name="db", **arguments):
        with self.assertRaises(KeyfobException) as caught:
            self.get(name, **arguments)
        self.assertNotIn(VALUE, everything_about(caught.exception))
        return str(caught.exception)

    def test_values_come_by_their_names(self):
        self.keyfob.answers_with(["secret"], {"A": VALUE, "_b1": "", "C": "\u00e4 \U0001f511"})
        self.assertEqual(self.get(), {"A": VALUE, "_b1": "", "C": "\u00e4 \U0001f511"})
        self.assertEqual(self.keyfob.arguments(), [["secret", "get", "db", "--json"]])

    def test_a_role_is_passed_on_and_the_sentinel_of_outerbounds_is_none(self):
        self.keyfob.answers_with(["secret"], {})
        self.get("a.b.c", options={}, role=ROLE)
        self.get(role="__cspr__")
        asked = [["secret", "get", "a.b.c", "--json", "--role-arn", ROLE], ["secret", "get", "db", "--json"]]
        self.assertEqual(self.keyfob.arguments(), asked)

    def test_a_role_that_reads_as_an_option_is_refused(self):
        self.assertIn("--json", self.refusal(role="--json"))
        self.assertEqual(self.keyfob.calls(), [])

    def test_a_refusal_ends_with_the_command_that_mends_it(self):
        said = "keyfob: no entry is called `secret.db`. Run: keyfob secret list\n"
        self.keyfob.answers_with(["secret"], explanation=said, code=1)
        self.assertEqual(self.refusal().splitlines()[-1], "Run: keyfob secret list")

    def test_names_and_values_that_no_environment_takes_are_refused_by_name(self):
        cases = [
            ({"A-B": VALUE}, "`A-B` is no name"),
            ({"1A": VALUE}, "`1A` is no name"),
            ({"": VALUE}, "`` is no name"),
            ({"A\n": VALUE}, "is no name"),
            ({"\u00c4": VALUE}, "is no name"),
            ({"METAFLOW_X": VALUE}, "`METAFLOW_X` is a name that Metaflow keeps"),
            ({"A": VALUE + "\0"}, "the value of `A` has a NUL"),
            ({"A": VALUE + "\ud800"}, "the value of `A` is no valid text"),
            ({"A": [VALUE]}, "the value of `A` is no text"),
            ({"A": VALUE, "B": None}, "the value of `B` is no text"),
        ]
        for values, expected in cases:
            self.keyfob.answers_with(["secret"], values)
            told = self.refusal()
            self.assertIn(expected, told)
            self.assertEqual(told.splitlines()[-1], "Run: keyfob secret list")

    def test_options_are_unknown(self):
        self.assertIn("json", self.refusal(options={"json": True}))
        self.assertEqual(self.keyfob.calls(), [])

    def test_a_name_is_never_an_option(self):
        for name in ["--help", "-x", ""]:
            self.refusal(name)
        self.assertEqual(self.keyfob.calls(), [])

    def test_a_remote_task_is_told_the_alternative(self):
        os.environ["METAFLOW_RUNTIME_ENVIRONMENT"] = "kubernetes"
        told = self.refusal()
        self.assertIn("kubernetes", told)
        self.assertIn("aws-secrets-manager.db", told.splitlines()[-1])
        self.assertEqual(self.keyfob.calls(), [])

    def test_metaflow_shows_the_refusal_and_no_value(self):
        self.keyfob.answers_with(["secret"], {"A": VALUE + "\0"})
        (self.folder / "flow.py").write_text(
            "from metaflow import FlowSpec, secrets, step\n"
            "class Flow(FlowSpec):\n"
            "    @secrets(sources=['keyfob.db'])\n"
            "    @step\n"
            "    def start(self):\n"
            "        self.next(self.end)\n"
            "    @step\n"
            "    def end(self):\n"
            "        pass\n"
            "if __name__ == '__main__':\n"
            "    Flow()\n"
        )
        run = self.python(
            "import sys, runpy; sys.argv = ['flow.py', '--no-pylint', 'run']; runpy.run_path('flow.py', run_name='__main__')"
        )
        self.assertNotEqual(run.returncode, 0)
        shown = run.stdout + run.stderr
        self.assertIn("the value of `A` has a NUL in it", shown)
        self.assertIn("Run: keyfob secret list", shown)
        self.assertNotIn(VALUE, shown)
