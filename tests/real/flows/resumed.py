"""A step that fails while BROKEN is set, behind one that must not run again."""

import os
import uuid

from metaflow import FlowSpec, step


class ResumedFlow(FlowSpec):
    @step
    def start(self):
        self.mark = uuid.uuid4().hex
        print("MARK", self.mark)
        self.next(self.work)

    @step
    def work(self):
        assert "BROKEN" not in os.environ, "it is broken"
        self.next(self.end)

    @step
    def end(self):
        print("RESULT", self.mark)


if __name__ == "__main__":
    ResumedFlow()
