"""`sweep --launcher slurm` on a Slurm that is there, and without one."""

import json
import os
import signal
import subprocess
import unittest
import zlib

import slurm_cluster
from command import BINARY
from sweep_case import SweepCase, key_of, rows_of

MODEL = os.environ.get("TIDEGAUGE_TEST_MODEL", "")


class WithoutSlurm(SweepCase):
    def test_a_machine_that_submits_no_jobs_is_told_in_one_line(self):
        out = self.folder / "nowhere"
        call = [BINARY, *map(str, self.call(out, "--launcher", "slurm"))]
        process = subprocess.run(call, capture_output=True, text=True, env={"PATH": str(self.folder)}, check=False)
        self.assert_refused(process, "--launcher slurm", "'sbatch'")
        self.assertFalse(out.exists())

    def test_bad_tables(self):
        path, out = self.folder / "cluster.toml", self.folder / "nothing"
        for text, parts in (
            ('[slurm]\npartiton = "main"\n', ("line 2", "'partiton'", "'partition'")),
            ('[slurm]\ncpus = "two"\n', ("line 2", "'cpus'", "whole number")),
            ('[slurm]\nretries = -1\n', ("line 2", "'retries'")),
            ('[slurm]\nsbatch = ["gres=gpu:1"]\n', ("'sbatch'", "--gres=gpu:1")),
            ('[slurm]\nsetup = ["a\\nb"]\n', ("'setup'", "line break")),
            ('partition = "main"\n', ("line 1", "'partition'", "'slurm'")),
            ('slurm = 3\n', ("[slurm]",)),
        ):
            with self.subTest(text):
                path.write_text(text)
                environment = os.environ | {"PATH": f"{self.stand_ins()}:{os.environ['PATH']}"}
                call = [BINARY, *map(str, self.call(out, "--launcher", "slurm", "--slurm", path))]
                process = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
                self.assert_refused(process, path, *parts)
        self.assert_refused(self.sweep(out, "--slurm", path), "--launcher slurm")
        self.assertFalse(out.exists())

    def stand_ins(self, name="commands", **scripts):
        """A folder with Slurm's commands as shell scripts, which fail unless told otherwise."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for command in ("sbatch", "squeue", "scontrol", "scancel"):
            (folder / command).write_text(f"#!/bin/sh\n{scripts.get(command, 'exit 1')}\n")
            (folder / command).chmod(0o755)
        return folder

    def test_a_cluster_that_fails_for_a_while_is_asked_again_and_not_for_ever(self):
        first = 'test ! -e "$0.called" && touch "$0.called"'
        commands = self.stand_ins("failing", sbatch=f"{first} && echo 7 && exit; echo try later >&2; exit 1",
                                  squeue=f"{first} && echo no controller >&2 && exit 1; exit 0")
        path, out = self.folder / "patient.toml", self.folder / "patient"
        path.write_text("[slurm]\nshards = 2\nretries = 2\npoll_s = 1\n")
        environment = os.environ | {"PATH": f"{commands}:{os.environ['PATH']}"}
        call = [BINARY, *map(str, self.call(out, "--launcher", "slurm", "--slurm", path))]
        foretold = subprocess.run([*call, "--dry-run"], capture_output=True, text=True, env=environment, check=False)
        self.assert_done(foretold)
        self.assertIn("2 shards", foretold.stdout)
        process = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
        self.assertEqual(process.returncode, 1, process.stderr)
        for part in ("Slurm does not answer: no controller", "Slurm answers again", "job 7 (tidegauge-", "try later",
                     "shard 2/2: job 7_2 ended with 0 of 9 rows; submitted again (2 of 2 times)"):
            self.assertEqual(process.stderr.count(part), 2 if part == "try later" else 1, process.stderr)
        self.assertIn("2 of 2 shards failed in 3 jobs each; shard 1 ended with: no log", process.stderr.splitlines()[-1])


@unittest.skipIf(slurm_cluster.why_not(), slurm_cluster.why_not())
class OnACluster(SweepCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = slurm_cluster.Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def table(self, **values):
        """A file with a [slurm] table for the cluster."""
        values = {"partition": "main", "time": "10", "cpus": 1, "memory": "1500M", "poll_s": 1} | values
        text = "[slurm]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        path = self.folder / f"slurm table {zlib.crc32(text.encode()):08x}.toml"
        path.write_text(text)
        return path

    def launch(self, call):
        return subprocess.run([BINARY, *map(str, call)], capture_output=True, text=True, env=self.cluster.environment,
                              timeout=240, check=False)

    def begin_launch(self, call):
        process = subprocess.Popen([BINARY, *map(str, call)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=self.cluster.environment)
        for cleanup in (process.stderr.close, process.stdout.close, process.wait, process.kill):
            self.addCleanup(cleanup)
        return process

    def slurm_call(self, out, *arguments, slurm=None, **options):
        return self.call(out, "--launcher", "slurm", "--slurm", self.table(**(slurm or {})), "--json", *arguments, **options)

    def rows_in(self, out, shard):
        file = out / "shards" / shard / "results.csv"
        return max(file.read_bytes().count(b"\n") - 1, 0) if file.exists() else 0

    @unittest.skipUnless(MODEL, "no default model is installed")
    def test_a_job_and_a_node_killed_in_the_middle_end_in_the_rows_of_one_run(self):
        options = {"model": MODEL, "lengths": 256, "depths": "0.2,0.5,0.8", "samples": 4, "batch": 1, "new_tokens": 16,
                   "policies": ("full", "tidal:budget=64,select=2+14", "window:budget=64")}
        alone, out = self.folder / "alone", self.folder / "on the cluster"
        self.assert_done(self.sweep(alone, **(options | {"batch": 64})))
        launcher = self.begin_launch(self.slurm_call(out, slurm={"shards": 4}, **options))
        stopped = {}

        def both_stand_still_with_rows():
            for shard in ("1", "2"):
                if shard not in stopped and self.rows_in(out, f"00{shard}-of-004"):
                    stopped[shard], = self.cluster.processes(SLURM_ARRAY_TASK_ID=shard)
                    os.kill(stopped[shard], signal.SIGSTOP)
            return len(stopped) == 2

        self.cluster.wait("rows on both nodes", both_stand_still_with_rows)
        nodes = dict(line.split()[::2] for line in self.cluster.jobs() if "RUNNING" in line)  # by shard
        os.kill(stopped["1"], signal.SIGKILL)
        self.cluster.kill_node(nodes["2"])
        kept = {shard: self.rows_in(out, shard) for shard in ("001-of-004", "002-of-004")}
        for shard, n_rows in kept.items():
            self.assertTrue(0 < n_rows < 9, (shard, n_rows))
        self.cluster.wait("the lost node to be noticed", lambda: self.cluster.states()[nodes["2"]].startswith("down"))
        self.cluster.start_node(nodes["2"])
        output, errors = launcher.communicate(timeout=240)
        self.assertEqual(launcher.returncode, 0, errors)
        told = json.loads(output)
        self.assertEqual((told["rows"], told["shards"], told["complete"], told["submitted"]), (36, 4, True, 4))
        self.assertGreaterEqual(told["resubmitted"], 1)  # a lost node's job is one that Slurm itself begins again
        self.assertIn("shard 1/4", errors)
        self.assertIn("submitted again (1 of 3 times)", errors)
        self.assert_whole(out, rows_of(alone))
        self.assertEqual([key_of(row) for row in rows_of(out)], self.planned_order(out))
        log = (out / "shards/log/shard-2.log").read_text()
        self.assertEqual(log.count("shard 2, job"), 2, log)
        script = (out / "shards/job.sbatch").read_text()
        for line in ("--partition=main", "--time=10", "--mem=1500M", "--cpus-per-task=1"):
            self.assertIn(f"#SBATCH {line}\n", script)

    def test_an_interrupted_launcher_leaves_its_jobs_and_finds_them_again(self):
        out = self.folder / "attached"
        call = self.slurm_call(out, samples=12, batch=1, slurm={"shards": 3, "at_once": 1})
        launcher = self.begin_launch(call)
        self.cluster.wait("a row", lambda: self.rows_in(out, "001-of-003"))
        shard, = self.cluster.processes(SLURM_ARRAY_TASK_ID="1")
        os.kill(shard, signal.SIGSTOP)  # the others wait for it
        self.assert_refused(self.launch(call), out, "another run", str(launcher.pid))
        launcher.send_signal(signal.SIGINT)
        _, errors = launcher.communicate(timeout=30)
        self.assertEqual(launcher.returncode, 130, errors)
        self.assertIn("the same command waits for them", errors)
        self.assertTrue(self.cluster.jobs())
        self.assert_refused(self.launch(self.call(out, samples=12)), out, "--launcher slurm")
        self.assert_refused(self.launch(self.slurm_call(out, "--force", samples=2)), out, "scancel --name=tidegauge-")
        self.assert_refused(self.launch(self.slurm_call(out, samples=12, slurm={"shards": 5})), "3 shards", "asks for 5")
        os.kill(shard, signal.SIGCONT)
        again = self.launch(call)
        self.assert_done(again)
        told = json.loads(again.stdout)
        self.assertEqual((told["rows"], told["submitted"], told["resubmitted"]), (72, 0, 0))
        self.assertEqual(len({key_of(row) for row in rows_of(out)}), 72)
        rows = (out / "results.csv").read_bytes()
        finished = self.launch(call)
        self.assert_done(finished)
        self.assertEqual(json.loads(finished.stdout)["submitted"], 0)
        self.assertEqual((out / "results.csv").read_bytes(), rows)

    def test_shards_that_always_fail_are_given_up(self):
        out = self.folder / "given_up"
        setup = ['[ "$SLURM_ARRAY_TASK_ID" != 2 ] || { echo the disk is gone; exit 3; }']
        process = self.launch(self.slurm_call(out, slurm={"shards": 2, "retries": 2, "setup": setup}))
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertEqual(process.stderr.count("submitted again"), 2, process.stderr)
        self.assertIn("exit code 3:0", process.stderr)
        self.assertIn("1 of 2 shards failed in 3 jobs each; shard 2 ended with: the disk is gone", process.stderr.splitlines()[-1])
        self.assertEqual(self.rows_in(out, "001-of-002"), 9)
        self.assertFalse((out / "results.csv").exists())
        self.assert_done(self.launch(self.slurm_call(out, slurm={"shards": 2})))  # the cause is gone: it goes on
        self.assertEqual(len(rows_of(out)), 18)

    def test_what_slurm_refuses_is_told(self):
        process = self.launch(self.slurm_call(self.folder / "refused", slurm={"partition": "nights"}))
        self.assert_refused(process, "job.sbatch", "nvalid partition")


if __name__ == "__main__":
    unittest.main()
