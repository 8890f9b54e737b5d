"""AWS clients for Metaflow, with credentials of the entry that `keyfob setup metaflow` named."""

from metaflow_extensions.keyfob import aws_sessions, program, remote


class KeyfobAwsClientProvider(object):
    """In force where METAFLOW_DEFAULT_AWS_CLIENT_PROVIDER is `keyfob`."""

    name = "keyfob"

    @staticmethod
    def get_client(module, with_error=False, role_arn=None, session_vars=None, client_params=None):
        """A client of boto3; with `with_error`, that and botocore's ClientError. Keyfob assumes the role, if any."""
        if remote.platform():
            from metaflow.plugins.aws.aws_client import Boto3ClientProvider

            remote.say_once("the role of the task")
            return Boto3ClientProvider.get_client(module, with_error, role_arn, session_vars, client_params)
        role = program.option("role-arn", role_arn) if role_arn else []
        return aws_sessions.client(
            [aws_sessions.entry()] + role, module, with_error, session_vars, client_params
        )
