"""Runs the tests of a folder: `unit_tests.py FOLDER [PART-OF-A-NAME]`. The last line is one that `cargo xtask test` counts."""

import sys
import unittest


class Result(unittest.TextTestResult):
    """Says what passed too, as the other runners do."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main(folder, part=""):
    loader = unittest.TestLoader()
    if part:
        loader.testNamePatterns = ["*%s*" % part]
    suite = loader.discover(folder, top_level_dir=folder)
    result = unittest.TextTestRunner(stream=sys.stderr, resultclass=Result, verbosity=2).run(suite)
    failed = result.testsRun - result.passed
    # A module that cannot be imported stands as one failed test, also where another name was asked for.
    verdict = "ok" if failed == 0 else "FAILED"
    print("test result: %s. %d passed; %d failed" % (verdict, result.passed, failed), flush=True)
    return 0 if failed == 0 else 101


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
