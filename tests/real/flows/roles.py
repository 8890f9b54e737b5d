"""Who the keys of clients are of: with no role, and with ROLE."""

import os

from metaflow import FlowSpec, step
from metaflow.plugins.aws.aws_client import get_aws_client


def who(role):
    sts = get_aws_client("sts", role_arn=role, client_params={"endpoint_url": os.environ["STS"]})
    return sts.get_caller_identity()["Arn"]


class RolesFlow(FlowSpec):
    @step
    def start(self):
        print("RESULT", who(None))
        print("RESULT", who(os.environ["ROLE"]))
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    RolesFlow()
