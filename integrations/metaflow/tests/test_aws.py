import contextlib
import datetime
import io
import os
import threading

from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, NoRegionError

from fake import KeyfobCase, everything_about

from test_remote import POD

from metaflow_extensions.keyfob import aws_sessions, remote
from metaflow_extensions.keyfob.errors import KeyfobException
from metaflow_extensions.keyfob.plugins.keyfob_aws import KeyfobAwsClientProvider

SECRET = "wJalr-a-secret-key"
ROLE = "arn:aws:iam::123456789012:role/x"
ANSWER = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


def keys(name="AKIAFIRST", seconds=3600):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    content = {"Version": 1, "AccessKeyId": name, "SecretAccessKey": SECRET, "SessionToken": "token-of-" + name}
    return dict(content, Expiration=end.strftime("%Y-%m-%dT%H:%M:%SZ"))


class Body(io.BytesIO):
    def stream(self, **_):
        yield self.read()


def signed_by(client):
    """The key and the session token that a request of this client is signed with. Nothing is sent."""
    seen = []

    def answer(request, **_):
        seen.append(request.headers)
        return AWSResponse(request.url, 200, {}, Body(ANSWER))

    client.meta.events.register("before-send", answer)
    client.get_caller_identity()
    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    headers = {name: text(value) for name, value in seen[0].items()}
    return headers["Authorization"].split("Credential=")[1].split("/")[0], headers["X-Amz-Security-Token"]


class AwsClients(KeyfobCase):
    def setUp(self):
        super().setUp()
        aws_sessions._begin_anew()
        self.addCleanup(aws_sessions._begin_anew)
        remote._said = False
        os.environ.update(METAFLOW_KEYFOB_AWS="aws.dev", METAFLOW_KEYFOB_REGION="eu-west-1")
        self.keyfob.answers_with(["credential-process", "aws.dev"], keys())

    def client(self, module="sts", **arguments):
        return KeyfobAwsClientProvider.get_client(module, **arguments)

    def test_a_client_signs_with_the_keys_of_the_agent(self):
        self.assertEqual(signed_by(self.client()), ("AKIAFIRST", "token-of-AKIAFIRST"))
        self.assertEqual(self.keyfob.arguments(), [["credential-process", "aws.dev"]])

    def test_keys_of_the_environment_do_not_count(self):
        os.environ.update(AWS_ACCESS_KEY_ID="AKIAOTHER", AWS_SECRET_ACCESS_KEY="x", AWS_SESSION_TOKEN="y")
        self.assertEqual(signed_by(self.client())[0], "AKIAFIRST")
        self.assertEqual(os.environ["AWS_ACCESS_KEY_ID"], "AKIAOTHER")

    def test_making_a_client_asks_nobody(self):
        self.client()
        self.assertEqual(self.keyfob.calls(), [])

    def test_clients_of_a_process_ask_once(self):
        for _ in range(3):
            signed_by(self.client())
        self.assertEqual(len(self.keyfob.calls()), 1)

    def test_many_threads_ask_once(self):
        results = []
        begin = threading.Barrier(16)

        def work():
            client = self.client()
            begin.wait()
            results.append(signed_by(client)[0])

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, ["AKIAFIRST"] * 16)
        self.assertEqual(len(self.keyfob.calls()), 1)

    def test_a_client_outlives_its_keys(self):
        self.keyfob.answers_with(["credential-process"], keys("AKIAOLD", seconds=300))
        client = self.client()
        self.assertEqual(signed_by(client)[0], "AKIAOLD")
        self.keyfob.answers_with(["credential-process"], keys("AKIANEW"))
        self.assertEqual(signed_by(client)[0], "AKIANEW")
        self.assertEqual(signed_by(client)[0], "AKIANEW")

    def test_keys_without_an_end_are_taken(self):
        self.keyfob.answers_with(["credential-process"], dict(keys("AKIAFOREVER"), Expiration=None))
        self.assertEqual(signed_by(self.client())[0], "AKIAFOREVER")

    def test_another_role_is_the_agents_business(self):
        asked = ["credential-process", "aws.dev", "--role-arn", ROLE]
        self.keyfob.answers_with(asked, keys("AKIAROLE"))
        self.assertEqual(signed_by(self.client(role_arn=ROLE))[0], "AKIAROLE")
        self.assertEqual(signed_by(self.client())[0], "AKIAFIRST")
        self.assertEqual(self.keyfob.arguments(), [asked, asked[:2]])

    def test_the_region_is_set_where_nothing_else_names_one(self):
        self.assertEqual(self.client().meta.region_name, "eu-west-1")
        given = {"region_name": "ap-south-1"}
        self.assertEqual(self.client(client_params=given).meta.region_name, "ap-south-1")
        os.environ["AWS_DEFAULT_REGION"] = "us-west-2"
        self.assertEqual(self.client().meta.region_name, "us-west-2")

    WHY = ["why", "aws.dev", "--json"]

    def test_a_region_that_nobody_set_is_the_one_that_came_with_the_keys(self):
        del os.environ["METAFLOW_KEYFOB_REGION"]
        before = dict(os.environ)
        self.keyfob.answers_with(["why"], {"entry": {"facts": {"region": "eu-west-3"}}})
        for module in ["sts", "s3", "sts"]:
            self.assertEqual(self.client(module).meta.region_name, "eu-west-3")
        # Before there are keys nobody knows it; and one question serves the process.
        self.assertEqual(self.keyfob.arguments(), [["credential-process", "aws.dev"], self.WHY])
        self.assertEqual(self.client(role_arn=ROLE).meta.region_name, "eu-west-3")
        self.assertEqual(dict(os.environ), before)

    def test_a_region_that_anybody_set_is_not_asked_for(self):
        self.keyfob.answers_with(["why"], {"entry": {"facts": {"region": "eu-west-3"}}})
        self.client()
        del os.environ["METAFLOW_KEYFOB_REGION"]
        self.client(client_params={"region_name": "ap-south-1"})
        self.client(session_vars={"region": (None, None, "sa-east-1", None)})
        os.environ["AWS_DEFAULT_REGION"] = "us-west-2"
        self.client()
        self.assertEqual(self.keyfob.calls(), [])

    def test_a_region_that_nobody_tells_is_said_by_boto3_itself(self):
        del os.environ["METAFLOW_KEYFOB_REGION"]
        self.keyfob.answers_with(["why"], explanation="keyfob: no. Run: keyfob status\n", code=1)
        # STS and S3 have places without a region.
        with self.assertRaises(NoRegionError):
            self.client("secretsmanager")
        for answer in [{}, {"entry": None}, {"entry": []}, {"entry": {"facts": {"region": 7}}}, {"entry": {"facts": {}}}]:
            aws_sessions._begin_anew()
            self.keyfob.answers_with(["why"], answer)
            with self.assertRaises(NoRegionError):
                self.client("secretsmanager")
        # The control: the next process is told.
        aws_sessions._begin_anew()
        self.keyfob.answers_with(["why"], {"entry": {"facts": {"region": "eu-west-3"}}})
        self.assertEqual(self.client("secretsmanager").meta.region_name, "eu-west-3")

    def test_without_a_region_and_keys_it_is_the_keys_that_are_missing(self):
        del os.environ["METAFLOW_KEYFOB_REGION"]
        said = "keyfob: nobody is signed in to okta. Run: keyfob login okta\n"
        self.keyfob.answers_with(["credential-process"], keys(), explanation=said, code=3)
        with self.assertRaises(KeyfobException) as caught:
            self.client()
        self.assertEqual(str(caught.exception).splitlines()[-1], "Run: keyfob login okta")
        self.assertNotIn(SECRET, everything_about(caught.exception))

    def test_a_session_variable_is_passed_on(self):
        client = self.client(session_vars={"region": (None, None, "sa-east-1", None)})
        self.assertEqual(client.meta.region_name, "sa-east-1")

    def test_a_configuration_may_be_a_dict(self):
        given = {"config": {"max_pool_connections": 77}}
        self.assertEqual(self.client(client_params=given).meta.config.max_pool_connections, 77)
        self.assertEqual(given, {"config": {"max_pool_connections": 77}})

    def test_clients_of_s3_try_again_as_metaflow_wants(self):
        from metaflow import metaflow_config

        # Releases before 2.12 have these numbers in the middle of a function.
        theirs = getattr(metaflow_config, "S3_CLIENT_RETRY_CONFIG", {"max_attempts": 10, "mode": "adaptive"})
        wanted = {"mode": theirs["mode"], "total_max_attempts": theirs["max_attempts"] + 1}
        self.assertEqual(self.client("s3").meta.config.retries, wanted)
        self.assertNotEqual(self.client("sts").meta.config.retries, wanted)
        config = Config(max_pool_connections=5)
        ours = self.client("s3", client_params={"config": config}).meta.config
        self.assertEqual(ours.retries, wanted)
        self.assertEqual(ours.max_pool_connections, 5)
        self.assertIsNone(config.retries)
        own = {"config": {"retries": {"max_attempts": 2}}}
        self.assertEqual(self.client("s3", client_params=own).meta.config.retries["total_max_attempts"], 3)

    def test_the_error_comes_along_where_it_is_wanted(self):
        client, error = self.client(with_error=True)
        self.assertIs(error, ClientError)
        self.assertEqual(signed_by(client)[0], "AKIAFIRST")

    def test_a_refusal_reaches_the_person_and_no_key_does(self):
        said = "keyfob: nobody is signed in to okta. Run: keyfob login okta\n"
        self.keyfob.answers_with(["credential-process"], keys(), explanation=said, code=3)
        with self.assertRaises(KeyfobException) as caught:
            signed_by(self.client())
        self.assertEqual(str(caught.exception).splitlines()[-1], "Run: keyfob login okta")
        self.assertNotIn(SECRET, everything_about(caught.exception))

    def test_an_answer_with_no_keys_is_refused_without_showing_it(self):
        self.keyfob.answers_with(["credential-process"], dict(keys(), AccessKeyId=7))
        with self.assertRaises(KeyfobException) as caught:
            signed_by(self.client())
        self.assertNotIn(SECRET, everything_about(caught.exception))

    def test_no_entry_is_an_error_with_the_command_that_sets_one_up(self):
        del os.environ["METAFLOW_KEYFOB_AWS"]
        with self.assertRaises(KeyfobException) as caught:
            self.client()
        self.assertEqual(str(caught.exception).splitlines()[-1], "Run: keyfob setup metaflow")

    def test_a_missing_program_is_an_error_here(self):
        os.environ["METAFLOW_KEYFOB_PROGRAM"] = "/nowhere"
        os.environ.update(AWS_ACCESS_KEY_ID="AKIAOTHER", AWS_SECRET_ACCESS_KEY="x")
        with self.assertRaises(KeyfobException):
            signed_by(self.client())

    def test_a_remote_task_uses_its_own_role_and_says_so_once(self):
        os.environ.update(METAFLOW_RUNTIME_ENVIRONMENT="aws-batch", AWS_DEFAULT_REGION="eu-west-1")
        os.environ.update(AWS_ACCESS_KEY_ID="AKIATASK", AWS_SECRET_ACCESS_KEY="x", AWS_SESSION_TOKEN="y")
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            signers = [signed_by(self.client())[0] for _ in range(3)]
        self.assertEqual(signers, ["AKIATASK"] * 3)
        self.assertEqual(self.keyfob.calls(), [])
        self.assertEqual(said.getvalue().count("\n"), 1)
        self.assertIn("aws-batch", said.getvalue())

    def test_a_pod_is_remote_too(self):
        os.environ.update(POD, AWS_ACCESS_KEY_ID="AKIAPOD", AWS_SECRET_ACCESS_KEY="x")
        os.environ.update(AWS_DEFAULT_REGION="eu-west-1", AWS_SESSION_TOKEN="y")
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(signed_by(self.client())[0], "AKIAPOD")

    def test_a_variable_of_pods_alone_leads_to_no_other_keys(self):
        os.environ.update(METAFLOW_KUBERNETES_WORKLOAD="1", AWS_ACCESS_KEY_ID="AKIAPOD", AWS_SECRET_ACCESS_KEY="x")
        os.environ["AWS_SESSION_TOKEN"] = "y"
        self.assertEqual(signed_by(self.client())[0], "AKIAFIRST")

    def test_a_role_that_reads_as_an_option_is_refused(self):
        with self.assertRaises(KeyfobException):
            self.client(role_arn="--task-role")
        self.assertEqual(self.keyfob.calls(), [])

    def test_metaflow_finds_the_provider_by_its_configuration(self):
        script = (
            "import json\nfrom metaflow.plugins.aws.aws_client import get_aws_client\n"
            "client = get_aws_client('sts')\n"
            "print(json.dumps(client._request_signer._credentials.access_key))"
        )
        # With Outerbounds the other distribution puts its own provider in force, on the same entry.
        self.configure(METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER="keyfob")
        self.assertEqual(self.printed(script), "AKIAFIRST")
