"""A step with the secrets that SOURCES names, through ROLE where it is set. What it got is shown as digests."""

import hashlib
import json
import os

from metaflow import FlowSpec, secrets, step

SOURCES = json.loads(os.environ["SOURCES"])
ROLE = {"role": os.environ["ROLE"]} if "ROLE" in os.environ else {}


class SecretFlow(FlowSpec):
    @secrets(sources=SOURCES, **ROLE)
    @step
    def start(self):
        expected = os.environ["EXPECTED"].split(",")
        seen = {name: hashlib.sha256(os.environ[name].encode()).hexdigest() for name in expected}
        print("RESULT", json.dumps(seen))
        self.next(self.end)

    @step
    def end(self):
        # Those of a step are its own.
        assert not set(os.environ["EXPECTED"].split(",")) & set(os.environ)


if __name__ == "__main__":
    SecretFlow()
