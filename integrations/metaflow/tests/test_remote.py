import contextlib
import io
import os

from fake import KeyfobCase

from metaflow_extensions.keyfob import remote

# What Metaflow writes into each pod, of every release that is claimed.
POD = {
    "METAFLOW_KUBERNETES_WORKLOAD": "1",
    "METAFLOW_KUBERNETES_POD_NAME": "t-1-abc",
    "METAFLOW_KUBERNETES_POD_NAMESPACE": "default",
    "METAFLOW_KUBERNETES_POD_ID": "0a1b",
    "METAFLOW_KUBERNETES_SERVICE_ACCOUNT_NAME": "default",
    "METAFLOW_KUBERNETES_NODE_IP": "10.0.0.1",
}
TASK = {"METAFLOW_RUNTIME_ENVIRONMENT": "kubernetes", "MF_PATHSPEC": "Flow/argo-1/start/7", "MF_ATTEMPT": "0"}


class RemoteTasks(KeyfobCase):
    def setUp(self):
        super().setUp()
        remote._said = False
        self.addCleanup(setattr, remote, "_said", False)

    def said(self, **variables):
        """What a process with these variables says; what it leaves in its environment is inherited by the next one."""
        remote._said = False
        os.environ.update(variables)
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            for _ in range(2):
                remote.say_once("the role of the task")
        return told.getvalue()

    def test_a_task_says_it_once_in_all_its_processes(self):
        self.assertEqual(self.said(**TASK).count("\n"), 1)
        self.assertEqual(self.said(), "")

    def test_an_inherited_variable_silences_no_other_task(self):
        self.said(**TASK)
        for other in [{"MF_ATTEMPT": "1"}, {"MF_PATHSPEC": "Flow/argo-1/end/8"}]:
            with self.subTest(other):
                self.assertEqual(self.said(**other).count("\n"), 1)
        for forged in ["1", "/", "kubernetes"]:
            with self.subTest(forged):
                self.assertEqual(self.said(METAFLOW_KEYFOB_SAID_REMOTE=forged).count("\n"), 1)

    def test_what_is_no_task_of_metaflow_says_it_in_each_process(self):
        os.environ["METAFLOW_RUNTIME_ENVIRONMENT"] = "kubernetes"
        for inherited in ["", "1", "/", "None"]:
            with self.subTest(inherited):
                self.assertEqual(self.said(METAFLOW_KEYFOB_SAID_REMOTE=inherited).count("\n"), 1)

    def test_the_line_names_the_variable_that_decides(self):
        self.assertIn("(METAFLOW_RUNTIME_ENVIRONMENT)", self.said(**TASK))
        for name in TASK:
            del os.environ[name]
        self.assertIn("(METAFLOW_KUBERNETES_WORKLOAD)", self.said(**POD))

    def test_a_platform_writes_one_line(self):
        told = self.said(METAFLOW_RUNTIME_ENVIRONMENT="x\nkeyfob: all is well\x1b[2J")
        self.assertEqual(told.count("\n"), 1)
        self.assertNotIn("\x1b", told)

    def test_a_pod_counts_with_all_that_metaflow_writes_into_one(self):
        os.environ.update(POD)
        self.assertEqual(remote.platform(), "kubernetes")
        for name in POD:
            with self.subTest(name):
                value = os.environ.pop(name)
                self.assertIsNone(remote.platform())
                os.environ[name] = value

    def test_one_variable_that_was_left_behind_does_not_lead_to_other_credentials(self):
        os.environ["METAFLOW_KUBERNETES_WORKLOAD"] = "1"
        self.assertIsNone(remote.platform())
