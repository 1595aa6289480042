"""`sweep --shard` and `--merge`: shards run apart become what one run writes, and nothing else is merged."""

import fcntl
import json
import shutil

from command import tidegauge
from sweep_case import POLICIES, SweepCase, key_of, rows_of, untimed


class Shards(SweepCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.alone = cls.folder / "alone"
        cls.parts = cls.folder / "parts"
        case = cls()
        case.assert_done(case.sweep(cls.alone, "--output-error", latency_steps=1, latency_lengths=100))
        for index in (2, 1, 3):
            case.assert_done(case.shard(cls.parts, f"{index}/3"))

    def shard(self, out, shard, *arguments, **options):
        options = {"latency_steps": 1, "latency_lengths": 100} | options
        return self.sweep(out, "--shard", shard, "--output-error", *arguments, **options)

    def merge(self, out, **options):
        options = {"latency_steps": 1, "latency_lengths": 100} | options
        return self.sweep(out, "--merge", "--output-error", **options)

    def lines(self, folder, name):
        return (folder / name).read_text().splitlines()

    def copy(self, name):
        return shutil.copytree(self.parts, self.folder / name)

    def test_merged_rows_are_those_of_one_run_in_the_plans_order(self):
        out = self.copy("merged")
        process = self.sweep(out, "--merge", "--output-error", "--json", latency_steps=1, latency_lengths=100)
        self.assert_done(process)
        told = json.loads(process.stdout)
        self.assertEqual((told["rows"], told["shards"], told["complete"]), (18, 3, True))
        self.assert_whole(out, rows_of(self.alone))
        self.assertEqual([key_of(row) for row in rows_of(out)], self.planned_order(out))
        self.assertEqual((out / "config.toml").read_text(), (self.alone / "config.toml").read_text())
        self.assertEqual(sorted(self.lines(out, "output_error.csv")), sorted(self.lines(self.alone, "output_error.csv")))
        self.assertEqual([line.split(",")[0] for line in self.lines(out, "latency.csv")],
                         [line.split(",")[0] for line in self.lines(self.alone, "latency.csv")])
        machine = json.loads((out / "machine.json").read_text())
        self.assertEqual(len(machine["shards"]), 3)
        for made in ("report.html", "summary.json", "table.csv"):
            self.assertTrue((out / made).exists(), made)
        merged = (out / "results.csv").read_bytes()
        self.assert_done(self.merge(out))
        self.assertEqual((out / "results.csv").read_bytes(), merged)
        for name, n in (("001-of-003", 6), ("002-of-003", 6), ("003-of-003", 6)):
            self.assertEqual(len(untimed(rows_of(out / "shards" / name))), n)

    def test_a_prompt_is_in_one_shard_alone(self):
        prompts = [{key_of(row)[:5] for row in rows_of(folder)} for folder in sorted((self.parts / "shards").iterdir())]
        self.assertEqual(sum(map(len, prompts)), len(set().union(*prompts)))
        self.assertEqual([len(one) for one in prompts], [2, 2, 2])

    def test_a_shard_that_was_cut_short_continues(self):
        out = self.copy("continued")
        file = out / "shards/002-of-003/results.csv"
        rows = file.read_bytes()
        file.write_bytes(rows[: len(rows) // 2])
        self.assert_refused(self.merge(out), "1 of 3 shards", "002-of-003", "of 6 rows")
        self.assert_done(self.shard(out, "2/3"))
        self.assert_done(self.merge(out))
        self.assert_whole(out, rows_of(self.alone))

    def test_incomplete_shards_are_named(self):
        out = self.copy("incomplete")
        shutil.rmtree(out / "shards/003-of-003")
        (out / "shards/001-of-003/latency.csv").unlink()
        self.assert_refused(self.merge(out), "2 of 3 shards", "001-of-003 (6 of 6 rows)", "003-of-003 (0 of 6 rows)")
        self.assertFalse((out / "results.csv").exists())

    def test_a_shard_of_another_sweep_is_refused(self):
        out, other = self.copy("mixed"), self.folder / "other"
        self.assert_done(self.shard(other, "2/3", policies=("full", "window:budget=48")))
        shutil.rmtree(out / "shards/002-of-003")
        shutil.copytree(other / "shards/002-of-003", out / "shards/002-of-003")
        self.assert_refused(self.merge(out), "002-of-003", "another sweep", "window:budget=48")
        self.assert_refused(self.shard(out, "1/3", samples=4), out, "another configuration")
        self.assert_refused(self.shard(out, "2/3"), "002-of-003", "another configuration", "--force")
        self.assert_done(self.shard(out, "2/3", "--force"))
        self.assert_done(self.merge(out))

    def test_rows_that_do_not_belong_are_refused(self):
        out = self.copy("foreign")
        first, second = (out / f"shards/00{i}-of-003/results.csv" for i in (1, 2))
        sound = second.read_text()
        line = sound.splitlines(keepends=True)[1]
        second.write_text(sound + line)
        self.assert_refused(self.merge(out), second, "line 8", "twice")
        second.write_text(sound + first.read_text().splitlines(keepends=True)[1])
        self.assert_refused(self.merge(out), second, "line 8", "another shard or sweep")
        second.write_text(sound.replace("length", "long", 1))
        self.assert_refused(self.merge(out), second, "line 1", "columns")
        second.write_text(sound)
        self.assert_done(self.merge(out))

    def test_shards_of_different_commits_are_refused(self):
        out = self.copy("commits")
        file = out / "shards/003-of-003/machine.json"
        machine = json.loads(file.read_text())
        file.write_text(json.dumps(machine | {"commit": "0123abcd"}))
        self.assert_refused(self.merge(out), "003-of-003", "0123abcd")
        self.assert_refused(self.shard(out, "3/3"), "003-of-003", "0123abcd", "--force")

    def test_merging_never_takes_shards_away(self):
        out = self.copy("forced")
        config = out / "config.toml"
        mine = config.read_text()
        config.write_text(mine.replace("samples = 3", "samples = 4"))
        self.assert_refused(self.merge(out), out, "another configuration")
        self.assert_done(self.sweep(out, "--merge", "--force", "--output-error", latency_steps=1, latency_lengths=100))
        self.assert_whole(out, rows_of(self.alone))
        self.assertEqual(config.read_text(), mine)
        gathered = self.folder / "gathered"
        shutil.copytree(self.parts / "shards", gathered / "shards")
        self.assert_done(self.merge(gathered))
        self.assert_whole(gathered, rows_of(self.alone))

    def test_a_refused_force_takes_nothing_away(self):
        out = self.copy("busy")
        self.assert_done(self.merge(out))
        before = {path: path.read_bytes() for path in out.rglob("*.csv")}
        with open(out / "shards/002-of-003/.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assert_refused(self.sweep(out, "--force", samples=2), "002-of-003", "another run")
        self.assertEqual({path: path.read_bytes() for path in out.rglob("*.csv")}, before)
        forced = self.shard(out, "1/3", "--force", samples=2)
        self.assert_refused(forced, out, "another sweep")
        self.assertNotIn("use --force", forced.stderr)

    def test_shards_of_two_cuts_are_refused(self):
        out = self.copy("cuts")
        self.assert_done(self.shard(out, "1/2"))
        self.assert_refused(self.merge(out), "shards", "2", "3")

    def test_another_model_is_refused(self):
        out = self.copy("model")
        config = out / "shards/001-of-003/config.toml"
        text = config.read_text()
        digest = text.split('model_sha256 = "')[1][:64]
        config.write_text(text.replace(digest, "0" * 64))
        self.assert_refused(self.merge(out), "001-of-003", "another sweep", "0" * 64)

    def test_one_run_and_shards_do_not_share_a_folder(self):
        self.assert_refused(self.shard(self.alone, "1/3"), self.alone, "as one run")
        out = self.copy("plain")
        self.assert_refused(self.sweep(out, "--output-error", latency_steps=1, latency_lengths=100), out, "--merge")

    def test_what_is_no_shard(self):
        out = self.folder / "none"
        for shard, part in (("3", "I/N"), ("0/3", "1..N"), ("4/3", "1..N"), ("x/3", "'x'"), ("1/2/3", "I/N"),
                            ("1/7", "has 6")):
            with self.subTest(shard):
                self.assert_refused(self.shard(out, shard), part)
        self.assert_refused(self.merge(out), "no shards to merge")
        self.assert_refused(self.sweep(out, "--merge", "--shard", "1/2"), "expected one of them")
        self.assertFalse(out.exists())

    def test_the_batch_is_no_part_of_a_sweep(self):
        out = self.copy("batch")
        self.assert_done(self.shard(out, "1/3", batch=2))
        self.assert_done(self.merge(out))
        self.assert_done(tidegauge("report", out))
        self.assertEqual(len(POLICIES) * 6, len(rows_of(out)))
