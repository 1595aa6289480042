"""--help and --version, and calls that name no sound command."""

import re

from command import COMMANDS, CommandCase, tidegauge


class Help(CommandCase):
    def test_of_the_program_lists_every_command(self):
        process = tidegauge("--help")
        self.assert_done(process)
        for command in COMMANDS:
            self.assertIn(command, process.stdout)

    def test_of_every_command(self):
        for command in COMMANDS:
            with self.subTest(command):
                process = tidegauge(command, "--help")
                self.assert_done(process)
                self.assertEqual(process.stderr, "")
                self.assertIn("--json", process.stdout)

    def test_version_of_every_command_is_the_programs(self):
        version = tidegauge("--version")
        self.assert_done(version)
        self.assertRegex(version.stdout, re.compile(r"^\S*\d+\.\d+\.\d+"))
        for command in COMMANDS:
            with self.subTest(command):
                process = tidegauge(command, "--version")
                self.assert_done(process)
                self.assertEqual(process.stdout, version.stdout)


class UnknownWords(CommandCase):
    def test_no_command(self):
        self.assert_refused(tidegauge())

    def test_unknown_command_names_the_nearest(self):
        self.assert_refused(tidegauge("recrod"), "recrod", "the nearest is 'record'")

    def test_unknown_option_names_the_nearest(self):
        self.assert_refused(self.generate("--polcy", "full"), "--polcy", "the nearest is '--policy'")
        self.assert_refused(tidegauge("inspect", "x.h5", "--recovr", "y"), "the nearest is '--recover'")

    def test_option_without_its_value(self):
        self.assert_refused(self.generate("--policy"), "--policy")

    def test_required_option_is_named(self):
        self.assert_refused(tidegauge("record", "--model", self.model, "--prompt", "x"), "--out")
        self.assert_refused(tidegauge("analyze", "x.h5"), "--out")

    def test_values_out_of_range(self):
        for arguments in (
            ("--steps", "0"),
            ("--steps", "many"),
            ("--threads", "-1"),
            ("--dtype", "int3"),
            ("--kv-dtype", "bf8"),
            ("--device", "tpu"),
            ("--temperature", "-1"),
            ("--top-p", "0"),
            ("--top-k", "-2"),
            ("--seed", "x"),
        ):
            with self.subTest(arguments):
                self.assert_refused(self.generate(*arguments), arguments[0].lstrip("-"))

    def test_bench(self):
        for arguments, part in (
            (("nothing",), "nothing"),
            (("decode", "--rounds", "0"), "--rounds"),
            (("decode", "--length", "100", "--policy", "nope"), "'nope' is unknown"),
            (("decode", "--length", "4000"), "512 positions"),
            (("decode", "--peer", "nobody"), "--peer"),
        ):
            with self.subTest(arguments):
                self.assert_refused(tidegauge("bench", *arguments, "--model", self.model), part)

    def test_eight_bits_of_rows_that_are_not_whole_blocks(self):
        self.assert_refused(self.generate("--dtype", "q8_0"), "token_embd.weight", "rows of 80", "multiple of 32")

    def test_device_that_is_not_there(self):
        self.assert_refused(self.generate("--device", "cuda"), "--device cuda")
