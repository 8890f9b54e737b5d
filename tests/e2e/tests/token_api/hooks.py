"""For schemathesis: every request bears a new token, so that none can end the run by rotating or deleting the token
that the next one would bear."""

import json
import os
import urllib.request

import schemathesis

MAKE = os.environ["SANDBOX_TOKENS"]
TOKEN = os.environ["SANDBOX_TOKEN"].encode()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@schemathesis.auth(refresh_interval=None)
class NewToken:
    def get(self, case, context):
        request = urllib.request.Request(MAKE, TOKEN, {"Content-Type": "application/json"})
        with OPENER.open(request, timeout=10) as answer:
            return json.load(answer)["token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"
