"""AWS clients for Metaflow of Outerbounds, with credentials that the agent obtained by the service's web identity."""

import os

from metaflow_extensions.keyfob import aws_sessions, private_names, program, remote


class KeyfobOuterboundsAwsClientProvider(object):
    """In force on the machine of whoever works, where an entry is set up for AWS."""

    # Another name than Outerbounds' and that of `metaflow-keyfob`: no order of loading decides which class is meant.
    name = "keyfob-outerbounds"

    @staticmethod
    def get_client(module, with_error=False, role_arn=None, session_vars=None, client_params=None):
        """A client of boto3; with `with_error`, that and botocore's ClientError."""
        if remote.platform():
            from metaflow_extensions.outerbounds.plugins import ObpAuthProvider

            remote.say_once("the provider of Outerbounds")
            return ObpAuthProvider.get_client(module, with_error, role_arn, session_vars, client_params)
        arguments = [aws_sessions.entry()] + role_arguments(role_arn, os.environ)
        return aws_sessions.client(arguments, module, with_error, session_vars, client_params)


def role_arguments(role_arn, environment):
    """Which role is meant, as Outerbounds' own provider reads it.

    No role is that of the task: Metaflow's own bookkeeping. The sentinel is what their functions for a person's code pass:
    the role of the customer's side, which a decorator may have named. An ARN is assumed by the role of the task.
    """
    if not role_arn:
        return ["--task-role"]
    if role_arn != private_names.CUSTOMER_ROLE:
        return program.option("role-arn", role_arn)
    decorated = environment.get(private_names.ASSUMED_ROLE)
    return program.option("role-arn", decorated) if decorated else []
