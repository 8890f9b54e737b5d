"""Whose the keys are of clients that a flow of Outerbounds makes: in the person's own code, and as Metaflow itself does."""

import os

import metaflow.plugins.aws.aws_client as of_metaflow
from metaflow import FlowSpec, get_aws_client, step


class CustomerFlow(FlowSpec):
    @step
    def start(self):
        parameters = {"endpoint_url": os.environ["STS"]}
        print("MINE", get_aws_client("sts", client_params=parameters).get_caller_identity()["Arn"])
        client = of_metaflow.get_aws_client("sts", client_params=parameters)
        print("TASK", client.get_caller_identity()["Arn"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    CustomerFlow()
