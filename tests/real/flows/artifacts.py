"""Artifacts and files in S3, from several tasks; COUNT of them beside each other."""

import os

from metaflow import S3, FlowSpec, step

COUNT = int(os.environ.get("COUNT", "2"))


class ArtifactsFlow(FlowSpec):
    @step
    def start(self):
        self.items = list(range(COUNT))
        self.next(self.each, foreach="items")

    @step
    def each(self):
        self.square = self.input * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.squares = sorted(each.square for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        with S3(run=self) as s3:
            s3.put_many([(f"square/{number}", str(number)) for number in self.squares[:3]])
            kept = [file.text for file in s3.get_all()]
        assert self.squares == [number * number for number in range(COUNT)]
        assert sorted(kept) == sorted(map(str, self.squares[:3]))
        print("RESULT", len(self.squares), "squares")


if __name__ == "__main__":
    ArtifactsFlow()
