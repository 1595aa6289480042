"""`tidegauge task`, and task specs that are refused, as a user meets them."""

import json

from command import CommandCase, made_up_text, tidegauge


class TaskCase(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = cls.folder / "text.txt"
        cls.text.write_text(made_up_text(200))

    def task(self, *arguments):
        return tidegauge("task", "--model", self.model, "--raw", "--text", self.text, *arguments)

    def sweep(self, *arguments):
        return tidegauge(
            "sweep", "--model", self.model, "--raw", "--text", self.text, "--policy", "full", "--out", self.folder / "run", *arguments
        )

    def jsonl(self, *lines):
        path = self.folder / "lines.jsonl"
        path.write_text("".join(line + "\n" for line in lines))
        return path


class Samples(TaskCase):
    def test_without_a_name_tasks_are_listed(self):
        listed = tidegauge("task")
        self.assert_done(listed)
        for name in ("needle", "passkey", "kv", "niah_multikey_3", "vt", "cwe", "fwe", "qa_1", "perplexity", "longbench"):
            self.assertRegex(listed.stdout, rf"(?m)^{name} ")
        names = [task["name"] for task in json.loads(tidegauge("task", "--json").stdout)["tasks"]]
        self.assertIn("infinitebench", names)

    def test_samples_are_printed_a_line_each(self):
        printed = self.task("passkey", "--samples", 3, "--length", 400, "--depths", "0+1")
        self.assert_done(printed)
        samples = [json.loads(line) for line in printed.stdout.splitlines()]
        self.assertEqual([sample["depth"] for sample in samples], [0, 1, 0])
        for sample in samples:
            self.assertEqual(sample["prompt_tokens"], 400)
            self.assertIn(sample["answers"][0], sample["prompt"])
            self.assertEqual(sample["reference"], " " + sample["answers"][0])

    def test_saved_samples_are_the_printed_ones_and_repeat(self):
        out = self.folder / "samples"
        call = ("kv:lines=5", "--samples", 2, "--seed", 3)
        self.assert_done(self.task(*call, "--out", out))
        self.assertEqual((out / "samples.jsonl").read_text(), self.task(*call).stdout)
        self.assertIn("kv:lines=5", (out / "config.toml").read_text())
        self.assert_refused(self.task("kv:lines=5", "--samples", 3, "--out", out), "another configuration")

    def test_a_sweep_takes_specs_and_writes_tables(self):
        self.assert_done(self.sweep("--tasks", "kv:lines=3|4,perplexity:prefix=20", "--lengths", 120, "--samples", 1))
        rows = (self.folder / "run" / "results.csv").read_text().splitlines()
        self.assertEqual(len(rows), 4)
        begin = ("kv:lines=3,0,,0,0,full", "kv:lines=4,0,,0,0,full", "perplexity:prefix=20,120,,0,0,full")
        for row, wanted in zip(sorted(rows[1:]), begin):  # a row is written when it ends
            self.assertTrue(row.startswith(wanted), row)
        for name in ("significance.csv", "table.csv", "summary.json", "report.html"):
            self.assertTrue((self.folder / "run" / name).exists(), name)


class BadTask(TaskCase):
    def test_specs(self):
        for spec, *parts in (
            ("niah_single_4", "'niah_single_4' is unknown", "nearest is 'niah_single_"),
            ("kv:lnes=3", "task kv: key 'lnes' is unknown; the nearest is 'lines'"),
            ("kv:lines=many", "task kv: lines"),
            ("passkey:depth=1", "task passkey: key 'depth' is unknown; it takes none"),
            ("qa_2", "names no file, expected qa_2:file=PATH"),
            ("perplexity:prefix=400", "leaves nothing to score after a prefix of 400 tokens"),
            ("vt", "vt: length 300 is too small"),
        ):
            with self.subTest(spec):
                self.assert_refused(self.task(spec, "--length", 300), *parts)

    def test_a_broken_line_is_named_by_its_number(self):
        good = json.dumps({"context": "a", "input": "b", "answers": ["c"], "dataset": "qasper"})
        broken = self.jsonl(good, good[:-4])
        for process in (self.task(f"longbench:file={broken}"), self.sweep("--tasks", f"longbench:file={broken}")):
            self.assert_refused(process, "lines.jsonl, line 2: broken JSON")
        self.assert_refused(self.task(f"longbench:file={self.jsonl(good)}", "--samples", 2), "2 asked for", "has 1")

    def test_longer_than_the_models_positions(self):
        short = {"context": "a", "input": "b", "answers": ["c"], "dataset": "qasper"}
        path = self.jsonl(json.dumps(short), json.dumps(short | {"context": "x" * 600}))
        self.assert_refused(
            self.sweep("--tasks", f"longbench:file={path}", "--samples", 2), "lines.jsonl, line 2: a prompt of", "512 positions"
        )
        self.assert_refused(
            self.sweep("--tasks", "niah_single_1", "--lengths", 500, "--samples", 1), "task niah_single_1, length 500", "512 positions"
        )
        self.assert_refused(self.sweep("--tasks", "kv:lines=40", "--samples", 1), "task kv:lines=40, sample 0", "512 positions")
        self.assert_refused(self.sweep("--lengths", 4000), "4000 tokens", "512 positions")

    def test_settings_of_the_sweep(self):
        self.assert_refused(self.sweep("--question", "later"), "'later', expected prefilled or decoded")
        self.assert_refused(self.sweep("--tasks", "kv,kv:lines=10"), "kv:lines=10 is named twice")
