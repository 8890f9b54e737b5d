"""One client of AWS in one step, until it has signed with KEYS different access keys."""

import os
import re
import time

from metaflow import FlowSpec, step
from metaflow.metaflow_config import S3_ENDPOINT_URL
from metaflow.plugins.aws.aws_client import get_aws_client

KEYS = int(os.environ.get("KEYS", "3"))
SECONDS = 120


class LastingFlow(FlowSpec):
    @step
    def start(self):
        signed = []

        def look(request, **_):
            key = re.search(rb"Credential=(\w+)/", request.headers["Authorization"])[1]
            if key not in signed:
                signed.append(key)

        s3 = get_aws_client("s3", client_params={"endpoint_url": S3_ENDPOINT_URL})
        s3.meta.events.register("before-send.s3", look)
        end = time.monotonic() + SECONDS
        while len(signed) < KEYS and time.monotonic() < end:
            s3.list_buckets()
        assert len(signed) >= KEYS, f"{len(signed)} keys in {SECONDS} s"
        self.signed = len(signed)
        self.next(self.end)

    @step
    def end(self):
        print("RESULT", self.signed, "keys")


if __name__ == "__main__":
    LastingFlow()
