import importlib
import importlib.metadata
import json
import os
import pathlib
import sys
import unittest
import unittest.mock

# One `keyfob` for the tests of both distributions.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "metaflow" / "tests"))

from fake import KeyfobCase

from metaflow_extensions.keyfob import aws_sessions, private_names
from metaflow_extensions.keyfob.errors import KeyfobException
from metaflow_extensions.keyfob_outerbounds.plugins.keyfob_outerbounds_aws import (
    KeyfobOuterboundsAwsClientProvider as Provider,
)

KEY = "a-key-that-nobody-may-see"
ROLE = "arn:aws:iam::123456789012:role/x"
OTHER = "arn:aws:iam::123456789012:role/decorated"
RESOLVED = {
    "METAFLOW_SERVICE_AUTH_KEY": KEY,
    "METAFLOW_SERVICE_URL": "https://metadata.example.test/",
    "OBP_AUTH_SERVER": "auth.example.test",
}
CONFIGURATION = (
    "import json\nfrom metaflow import metaflow_config as c\n"
    "print(json.dumps([c.DEFAULT_AWS_CLIENT_PROVIDER, c.SERVICE_AUTH_KEY, dict(c.SERVICE_HEADERS), c.SERVICE_URL]))"
)


class PrivateNames(unittest.TestCase):
    """What another version of Outerbounds' packages may name otherwise; `private_names.py` is then to be changed."""

    def test_they_are_those_of_the_version_that_is_claimed(self):
        claimed = importlib.metadata.requires("metaflow-keyfob-outerbounds")
        installed = importlib.metadata.version("ob-metaflow-extensions")
        self.assertIn("ob-metaflow-extensions<2,>=%s" % installed, [line.replace(" ", "") for line in claimed])

    def test_the_variable_with_the_whole_configuration(self):
        from metaflow_extensions.outerbounds import remote_config

        self.assertEqual(remote_config.CONFIG_READ_ONCE_KEY, private_names.RESOLVED_CONFIGURATION)

    def test_the_sentinel_and_the_variable_of_roles(self):
        from metaflow_extensions.outerbounds import plugins

        # The decorator has the name of its module.
        assume_role = importlib.import_module("metaflow_extensions.outerbounds.plugins.aws.assume_role")
        self.assertEqual(plugins.USE_CSPR_ROLE_ARN_IF_SET, private_names.CUSTOMER_ROLE)
        self.assertEqual(assume_role.OBP_ASSUME_ROLE_ARN_ENV_VAR, private_names.ASSUMED_ROLE)

    def test_the_provider_that_is_replaced(self):
        from metaflow_extensions.outerbounds import config, plugins

        self.assertEqual(config.DEFAULT_AWS_CLIENT_PROVIDER, private_names.PROVIDER)
        self.assertEqual(plugins.ObpAuthProvider.name, private_names.PROVIDER)


class Configuration(KeyfobCase):
    def setUp(self):
        super().setUp()
        self.keyfob.answers_with(["metaflow", "outerbounds.prod"], RESOLVED)

    def test_it_comes_from_keyfob_before_outerbounds_looks_for_a_file(self):
        self.configure(METAFLOW_KEYFOB_SERVICE="outerbounds.prod")
        told = self.printed(CONFIGURATION)
        self.assertEqual(told, ["obp", KEY, {"x-api-key": KEY}, RESOLVED["METAFLOW_SERVICE_URL"]])
        self.assertEqual(self.keyfob.arguments(), [["metaflow", "outerbounds.prod"]])

    def test_a_task_inherits_it(self):
        self.configure(METAFLOW_KEYFOB_SERVICE="outerbounds.prod")
        script = (
            "import metaflow, subprocess, sys\n"
            "sys.stdout.write(subprocess.run([sys.executable, '-c', %r], capture_output=True, text=True).stdout)"
        )
        self.assertEqual(self.printed(script % CONFIGURATION)[1], KEY)
        self.assertEqual(len(self.keyfob.calls()), 1)

    def test_one_that_is_given_stays(self):
        self.configure(METAFLOW_KEYFOB_SERVICE="outerbounds.prod")
        given = json.dumps(dict(RESOLVED, METAFLOW_SERVICE_AUTH_KEY="given"))
        self.assertEqual(self.printed(CONFIGURATION, **{private_names.RESOLVED_CONFIGURATION: given})[1], "given")
        self.assertEqual(self.keyfob.calls(), [])

    def test_nothing_is_asked_where_no_entry_is_set_up_or_no_agent_is(self):
        self.configure(METAFLOW_SERVICE_AUTH_KEY="of the file")
        self.assertEqual(self.printed(CONFIGURATION)[1], "of the file")
        self.configure(METAFLOW_KEYFOB_SERVICE="outerbounds.prod")
        self.assertIsNone(self.printed(CONFIGURATION, METAFLOW_RUNTIME_ENVIRONMENT="kubernetes")[1])
        self.assertEqual(self.keyfob.calls(), [])

    def test_what_the_service_says_of_our_settings_does_not_count(self):
        self.configure(METAFLOW_KEYFOB_SERVICE="outerbounds.prod")
        evil = self.folder / "evil"
        evil.write_text("#!/bin/sh\ntouch %s/pwned\necho '{}'\n" % self.folder)
        evil.chmod(0o755)
        theirs = {
            "METAFLOW_KEYFOB_AWS": "aws.evil",
            "METAFLOW_KEYFOB_SERVICE": "outerbounds.evil",
            "METAFLOW_KEYFOB_PROGRAM": str(evil),
        }
        self.keyfob.answers_with(["metaflow", "outerbounds.prod"], dict(RESOLVED, **theirs))
        script = (
            "import json\nfrom metaflow import metaflow_config as c, metaflow_config_funcs as functions\n"
            "from metaflow_extensions.keyfob import program, settings\n"
            "print(json.dumps([c.DEFAULT_AWS_CLIENT_PROVIDER, c.SERVICE_AUTH_KEY, settings.get(settings.AWS),"
            " settings.get(settings.SERVICE), program.find(), functions.METAFLOW_CONFIG['METAFLOW_KEYFOB_AWS']]))"
        )
        # The last is the control: Metaflow's own configuration has it.
        ours = ["obp", KEY, None, "outerbounds.prod", str(self.keyfob.path), "aws.evil"]
        self.assertEqual(self.printed(script), ours)
        self.assertFalse((self.folder / "pwned").exists())

    def refused(self):
        # As a file is after `keyfob import`: the address is there, the key is not.
        self.configure(
            METAFLOW_KEYFOB_SERVICE="outerbounds.prod", OBP_METAFLOW_CONFIG_URL="https://api.example.test/v1"
        )
        said = "keyfob: no key is held for `outerbounds.prod`. Run: keyfob token add prod\n"
        self.keyfob.answers_with(["metaflow"], RESOLVED, explanation=said, code=3)

    SHOWN = "    Keyfob:\n    no key is held for `outerbounds.prod`.\n    Run: keyfob token add prod\n"

    def test_a_refusal_ends_a_program_as_metaflow_ends_one_with_the_command_that_mends_it(self):
        self.refused()
        (self.folder / "flow.py").write_text("from metaflow import FlowSpec\n")
        command = str(pathlib.Path(sys.executable).with_name("metaflow"))
        for program in [["flow.py", "run"], [command, "status"], ["-c", "import metaflow"]]:
            run = self.run_python(*program)
            self.assertEqual((run.returncode, run.stdout, run.stderr), (1, "", self.SHOWN))
        self.assertEqual(len(self.keyfob.calls()), 3)

    def test_whoever_catches_the_refusal_has_it_and_every_other_exception_is_shown_as_ever(self):
        self.refused()
        caught = (
            "import sys\nbefore = sys.excepthook\n"
            "try:\n    import metaflow\nexcept Exception as failure:\n    caught = failure\n"
            "print(type(caught).__name__, str(caught).splitlines()[-1])\n"
        )
        run = self.python(caught + "raise KeyError('another')")
        self.assertEqual(run.stdout, "KeyfobException Run: keyfob token add prod\n")
        self.assertIn("Traceback", run.stderr)
        self.assertIn("KeyError: 'another'", run.stderr)
        # Wherever it is shown, that is done once, and what was there before is in force again.
        run = self.python(
            caught
            + "sys.excepthook(type(caught), caught, None)\nprint(sys.excepthook is before)\n"
            + "sys.excepthook(type(caught), caught, None)"
        )
        self.assertEqual(run.stdout.splitlines()[-1], "True")
        self.assertTrue(run.stderr.startswith(self.SHOWN), run.stderr)
        self.assertEqual(run.stderr.count(self.SHOWN), 1)
        self.assertNotIn(KEY, run.stdout + run.stderr)


class AwsProvider(KeyfobCase):
    def setUp(self):
        super().setUp()
        aws_sessions._begin_anew()
        self.addCleanup(aws_sessions._begin_anew)
        os.environ.update(METAFLOW_KEYFOB_AWS="aws.prod", METAFLOW_KEYFOB_REGION="eu-west-1")
        self.keyfob.answers_with(["credential-process"], keys())

    def asked(self, **arguments):
        client = Provider.get_client("sts", **arguments)
        client._request_signer._credentials.get_frozen_credentials()
        return self.keyfob.arguments()[-1]

    def test_roles_are_those_of_outerbounds_own_provider(self):
        asked = ["credential-process", "aws.prod"]
        self.assertEqual(self.asked(), asked + ["--task-role"])
        self.assertEqual(self.asked(role_arn=ROLE), asked + ["--role-arn", ROLE])
        self.assertEqual(self.asked(role_arn="__cspr__"), asked)
        os.environ["OBP_ASSUME_ROLE_ARN"] = OTHER
        self.assertEqual(self.asked(role_arn="__cspr__"), asked + ["--role-arn", OTHER])
        for option in ["--task-role", "-x"]:
            self.assertRaises(KeyfobException, Provider.get_client, "sts", role_arn=option)
        with unittest.mock.patch.dict(aws_sessions._credentials, clear=True):
            self.assertEqual(self.asked(), asked + ["--task-role"])

    def test_the_region_is_the_one_that_the_service_chose(self):
        del os.environ["METAFLOW_KEYFOB_REGION"]
        self.keyfob.answers_with(["why", "aws.prod", "--json"], {"entry": {"facts": {"region": "us-west-2"}}})
        script = "import json\nfrom metaflow import get_aws_client\nprint(json.dumps(get_aws_client('sts').meta.region_name))"
        self.assertEqual(self.printed(script), "us-west-2")

    def test_functions_for_a_persons_code_get_the_role_of_the_customers_side(self):
        script = (
            "import json\nfrom metaflow import get_aws_client\n"
            "client = get_aws_client('sts')\n"
            "print(json.dumps(client._request_signer._credentials.access_key))"
        )
        self.assertEqual(self.printed(script), "AKIAFIRST")
        self.assertEqual(self.keyfob.arguments(), [["credential-process", "aws.prod"]])

    def test_keys_of_the_environment_do_not_count_and_stay(self):
        os.environ.update(AWS_ACCESS_KEY_ID="AKIAOTHER", AWS_SECRET_ACCESS_KEY="x")
        before = dict(os.environ)
        client = Provider.get_client("sts")
        self.assertEqual(client._request_signer._credentials.get_frozen_credentials().access_key, "AKIAFIRST")
        self.assertEqual(dict(os.environ), before)

    def test_it_is_in_force_where_an_entry_is_set_up_and_only_there(self):
        self.assertEqual(self.printed(CONFIGURATION)[0], "keyfob-outerbounds")
        self.assertEqual(self.printed(CONFIGURATION, METAFLOW_RUNTIME_ENVIRONMENT="kubernetes")[0], "obp")
        del os.environ["METAFLOW_KEYFOB_AWS"]
        self.assertEqual(self.printed(CONFIGURATION)[0], "obp")
        self.assertEqual(self.printed(CONFIGURATION, METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER="keyfob")[0], "obp")

    def test_an_entry_of_metaflows_file_counts_beside_a_resolved_configuration(self):
        del os.environ["METAFLOW_KEYFOB_AWS"]
        self.configure(METAFLOW_KEYFOB_SERVICE="outerbounds.prod", METAFLOW_KEYFOB_AWS="aws.prod")
        self.keyfob.answers_with(["metaflow", "outerbounds.prod"], RESOLVED)
        self.assertEqual(self.printed(CONFIGURATION)[:2], ["keyfob-outerbounds", KEY])


def keys():
    return {"Version": 1, "AccessKeyId": "AKIAFIRST", "SecretAccessKey": "secret", "SessionToken": "token"}
