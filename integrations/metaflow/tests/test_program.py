import json
import os
import pathlib
import shutil
import tempfile
import time
from unittest import mock

from fake import KeyfobCase, everything_about

from metaflow.exception import MetaflowException
from metaflow_extensions.keyfob import program, settings
from metaflow_extensions.keyfob.errors import KeyfobException

VALUE = "a-value-that-nobody-may-see"


class TheProgram(KeyfobCase):
    def refusal(self, arguments=("secret", "get", "x")):
        with self.assertRaises(MetaflowException) as caught:
            program.ask(list(arguments))
        self.assertIsInstance(caught.exception, KeyfobException)
        return caught.exception

    def test_a_refusal_ends_with_the_command_that_mends_it(self):
        said = "keyfob: nobody is signed in to okta. Run: keyfob login okta\n"
        self.keyfob.answers_with(["secret"], explanation=said, code=3)
        self.assertEqual(str(self.refusal()), "nobody is signed in to okta.\nRun: keyfob login okta")

    def test_advice_that_is_no_command_stands_last_too(self):
        said = "keyfob: the agent is about to end. Next: try again in a moment\n"
        self.keyfob.answers_with(["secret"], explanation=said, code=1)
        self.assertEqual(str(self.refusal()).splitlines()[-1], "Next: try again in a moment")

    def test_a_refusal_with_no_advice_leads_to_the_doctor(self):
        self.keyfob.answers_with(["secret"], explanation="keyfob: no\n", code=1)
        self.assertEqual(str(self.refusal()), "no.\nRun: keyfob doctor")

    def test_words_of_other_programs_are_not_taken_for_a_refusal(self):
        said = "warning: %s\nkeyfob: no. Run: keyfob login\nTrace: %s\n" % (VALUE, VALUE)
        self.keyfob.answers_with(["secret"], explanation=said, code=1)
        self.assertEqual(str(self.refusal()), "no.\nRun: keyfob login")

    def test_a_program_that_is_not_there_is_named(self):
        os.environ[settings.PROGRAM] = str(self.folder / "none")
        told = str(self.refusal())
        self.assertIn(str(self.folder / "none"), told)
        self.assertIn(settings.PROGRAM + "=", told.splitlines()[-1])

    def test_no_program_on_the_path_says_so(self):
        del os.environ[settings.PROGRAM]
        os.environ["PATH"] = str(self.folder / "empty")
        self.assertIn("not on the PATH", str(self.refusal()))

    def test_the_program_of_the_path_is_used_where_none_is_named(self):
        del os.environ[settings.PROGRAM]
        os.environ["PATH"] = str(self.folder)
        self.keyfob.answers_with(["status"], {})
        self.assertEqual(program.ask(["status"]).expose(), {})

    def standing_in(self, members):
        """Goes to a folder with a foreign `keyfob` in it and in its `bin`, with a PATH of these members."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        there = pathlib.Path(folder.name)
        for place in [there, there / "bin"]:
            place.mkdir(exist_ok=True)
            (place / "keyfob").write_text("#!/bin/sh\necho '{}' > %s/pwned\necho '{}'\n" % there)
            (place / "keyfob").chmod(0o755)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(there)
        os.environ["PATH"] = os.pathsep.join(members)
        return there

    def test_a_relative_program_is_refused_from_the_file_and_the_environment(self):
        there = self.standing_in([str(self.folder)])
        for relative in ["bin/keyfob", "./keyfob", "keyfob", "-keyfob"]:
            del os.environ[settings.PROGRAM]
            self.configure(METAFLOW_KEYFOB_PROGRAM=relative)
            for _ in ["the file", "the environment"]:
                with self.subTest(relative):
                    told = str(self.refusal())
                    self.assertIn(settings.PROGRAM, told)
                    self.assertTrue(told.splitlines()[-1].startswith("Next: "), told)
                    self.assertIn("=/", told.splitlines()[-1])
                os.environ[settings.PROGRAM] = relative
        self.assertFalse((there / "pwned").exists())
        # The control: a lookup that takes it runs what stands here.
        self.assertIsNotNone(shutil.which("bin/keyfob"))

    def test_a_home_of_the_person_may_be_written_as_a_tilde(self):
        os.environ.update({"HOME": str(self.folder), settings.PROGRAM: "~/keyfob"})
        self.assertEqual(program.find(), str(self.keyfob.path))
        os.environ["HOME"] = "."
        self.assertIn(settings.PROGRAM, str(self.refusal()))

    def test_the_working_folder_is_no_place_of_the_path(self):
        del os.environ[settings.PROGRAM]
        for members in [[""], ["."], ["bin"], ["", "/nowhere"], ["./bin", "../x"]]:
            with self.subTest(members):
                there = self.standing_in(members)
                told = str(self.refusal())
                self.assertIn("not on the PATH", told)
                self.assertIn("relative", told)
                self.assertFalse((there / "pwned").exists())
                # The control. It takes a PATH with nothing in it for none.
                self.assertIsNotNone(shutil.which("keyfob", path=os.environ["PATH"] or os.pathsep))
        self.standing_in(["", ".", "bin", str(self.folder)])
        self.assertEqual(program.find(), str(self.keyfob.path))

    def test_what_a_service_wrote_for_a_run_sets_nothing_of_ours(self):
        folder = self.folder / "keyfob-exec-0123456789abcdef"
        folder.mkdir()
        service = {settings.PROGRAM: "/evil", settings.AWS: "aws.evil", settings.SERVICE: "token.evil"}
        (folder / "config.json").write_text(json.dumps(service))
        del os.environ[settings.PROGRAM]
        for home in [str(folder), "%s/" % folder, "%s/." % folder]:
            os.environ["METAFLOW_HOME"] = home
            for name in service:
                self.assertIsNone(settings.get(name), (home, name))
        # The control: the same file in a folder of the person.
        shutil.copy(str(folder / "config.json"), str(self.folder))
        os.environ["METAFLOW_HOME"] = str(self.folder)
        self.assertEqual(settings.get(settings.AWS), "aws.evil")

    def test_a_setting_that_reads_as_an_option_is_refused_wherever_it_comes_from(self):
        for name in [settings.AWS, settings.REGION, settings.SERVICE]:
            os.environ[name] = "--help"
            with self.subTest(name), self.assertRaises(KeyfobException) as caught:
                settings.get(name)
            self.assertIn(name, str(caught.exception))
            del os.environ[name]
            self.configure(**{name: "--help"})
            with self.subTest(name), self.assertRaises(KeyfobException):
                settings.get(name)
        project = {settings.AWS: "--help"}
        self.configure()
        with mock.patch("metaflow.metaflow_config_funcs.METAFLOW_LOCAL_CONFIG", project, create=True):
            self.assertRaises(KeyfobException, settings.get, settings.AWS)

    def test_the_environment_counts_before_the_file(self):
        self.configure(METAFLOW_KEYFOB_PROGRAM="/of/the/file", METAFLOW_KEYFOB_AWS="aws.file")
        self.assertEqual(settings.get(settings.AWS), "aws.file")
        self.assertEqual(settings.get(settings.PROGRAM), str(self.keyfob.path))
        os.environ[settings.AWS] = "aws.environment"
        self.assertEqual(settings.get(settings.AWS), "aws.environment")

    def test_the_file_of_a_profile_is_read(self):
        (self.folder / "config_work.json").write_text(json.dumps({settings.AWS: "aws.work"}))
        self.configure(METAFLOW_KEYFOB_AWS="aws.file")
        os.environ["METAFLOW_PROFILE"] = "work"
        self.assertEqual(settings.get(settings.AWS), "aws.work")

    def test_a_project_chooses_among_entries_but_never_the_program(self):
        del os.environ[settings.PROGRAM]
        project = {settings.PROGRAM: "/evil", settings.AWS: "aws.project"}
        with mock.patch("metaflow.metaflow_config_funcs.METAFLOW_LOCAL_CONFIG", project, create=True):
            self.assertEqual(settings.get(settings.AWS), "aws.project")
            self.assertIsNone(settings.get(settings.PROGRAM))

    def test_a_program_that_is_too_old_is_told_from_a_refusal(self):
        said = "error: unrecognized subcommand 'secret'\n\nUsage: keyfob <COMMAND>\n"
        self.keyfob.answers_with(["secret"], explanation=said, code=2)
        told = str(self.refusal())
        self.assertIn("older than this extension", told)
        self.assertTrue(told.endswith("keyfob --version"), told)

    def test_a_program_that_hangs_is_ended_in_time(self):
        self.keyfob.answers_with(["secret"], hangs=True)
        began = time.monotonic()
        with mock.patch.object(program, "TIMEOUT", 1):
            told = str(self.refusal())
        self.assertLess(time.monotonic() - began, 10)
        self.assertIn("did not answer within 1 s", told)
        self.assertEqual(told.splitlines()[-1], "Run: keyfob doctor")

    def test_a_program_that_floods_is_cut_off(self):
        self.keyfob.answers_with(["secret"], flood=20 * program.LONGEST_ANSWER, hangs=True)
        self.assertIn("more than", str(self.refusal()))

    def test_a_program_that_was_killed_says_nothing_of_its_own(self):
        self.keyfob.answers_with(["secret"], code=-9)
        self.assertIn("ended by signal 9", str(self.refusal()))

    def test_arguments_reach_no_shell(self):
        name = "x; touch %s/pwned $(id) `id`" % self.folder
        self.keyfob.answers_with(["secret"], {})
        program.ask(["secret", "get", name])
        self.assertEqual(self.keyfob.arguments(), [["secret", "get", name]])
        self.assertFalse((self.folder / "pwned").exists())

    def test_an_answer_that_is_none_shows_nothing_of_itself(self):
        for answer in ['{"A": "%s"' % VALUE, '["%s"]' % VALUE, VALUE, '{"A": "%s"} x' % VALUE]:
            self.keyfob.answers_with(["secret"], answer)
            exception = self.refusal()
            self.assertIn("none that this extension knows", str(exception))
            self.assertNotIn(VALUE, everything_about(exception))
        # The control: what a parser's error shows when it is passed on.
        with self.assertRaises(ValueError) as caught:
            json.loads('{"A": "%s"' % VALUE)
        self.assertIn(VALUE, everything_about(caught.exception))

    def test_a_value_beside_a_refusal_shows_nothing_of_itself(self):
        self.keyfob.answers_with(["secret"], {"A": VALUE}, explanation="keyfob: no\n", code=1)
        self.assertNotIn(VALUE, everything_about(self.refusal()))

    def test_what_is_hidden_stays_so(self):
        self.keyfob.answers_with(["secret"], {"A": VALUE})
        answer = program.ask(["secret"])
        self.assertEqual(answer.expose(), {"A": VALUE})
        self.assertNotIn(VALUE, "%r %s %s" % (answer, answer, vars(type(answer))))
