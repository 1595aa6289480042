"""A sweep's folder under kill -9, full disks, two runs at once, and grids that hold nothing."""

import json
import os
import pty
import re
import resource
import signal
import subprocess

from command import BINARY, tidegauge
from sweep_case import SweepCase, key_of, rows_of


class Killed(SweepCase):
    N_ROWS = 36

    def long_call(self, out, *arguments):
        return self.call(out, *arguments, samples=6, batch=4)

    def run_until_killed(self, out, n_rows):
        """Kills a sweep once so many rows are there; the rows that it had told of as done."""
        ours, theirs = pty.openpty()  # progress is told to a terminal
        process = subprocess.Popen([BINARY, *map(str, self.long_call(out))], stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        self.wait_for_rows(process, out / "results.csv", n_rows)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        told = b""
        try:
            while part := os.read(ours, 65536):
                told += part
        except OSError:  # the terminal's end
            pass
        os.close(ours)
        return max(map(int, re.findall(rb"rows (\d+)/", told)))

    def whole_lines(self, out):
        return (out / "results.csv").read_bytes().count(b"\n") - 1

    def test_the_same_command_ends_with_the_rows_of_a_run_that_was_let_be(self):
        whole, out = self.folder / "let_be", self.folder / "killed"
        self.assert_done(tidegauge(*self.long_call(whole)))
        expected = rows_of(whole)
        self.assertEqual(len(expected), self.N_ROWS)
        for n_rows in (1, 9, 20):
            before = self.whole_lines(out) if out.exists() else 0
            told = self.run_until_killed(out, max(n_rows, before + 1))
            kept = self.whole_lines(out)
            self.assertGreaterEqual(kept, told)  # what was told as done is there
            self.assertLess(kept, self.N_ROWS)
        # The line being written when the power goes.
        file = out / "results.csv"
        rows = file.read_bytes()
        torn = rows[: rows.rstrip(b"\n").rfind(b"\n") + 30]
        file.write_bytes(torn)
        process = tidegauge(*self.long_call(out, "--json"))
        self.assert_done(process)
        told = json.loads(process.stdout)
        self.assertEqual((told["found"], told["written"]), (kept - 1, self.N_ROWS - kept + 1))
        self.assertTrue(file.read_bytes().startswith(torn[:-30]))
        self.assert_whole(out, expected)

    def test_a_line_that_a_full_disk_tore_is_written_anew(self):
        whole, out = self.folder / "roomy", self.folder / "full_disk"
        self.assert_done(tidegauge(*self.long_call(whole)))
        room = (whole / "results.csv").stat().st_size * 2 // 3

        def little_room():
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        process = tidegauge(*self.long_call(out), preexec_fn=little_room)
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertIn("results.csv", process.stderr.splitlines()[-1])
        left = (out / "results.csv").read_bytes()
        self.assertFalse(left.endswith(b"\n"))
        self.assert_done(tidegauge(*self.long_call(out)))
        self.assert_whole(out, rows_of(whole))


class TwoRuns(SweepCase):
    def test_the_second_is_refused_and_changes_nothing(self):
        out = self.folder / "shared"
        first = self.begin(out, samples=12, batch=2)
        first.send_signal(signal.SIGSTOP)  # it holds the folder as long as the others need
        made = (out / "machine.json").stat().st_mtime_ns
        for arguments in ((), ("--force",)):
            self.assert_refused(self.sweep(out, *arguments, samples=12, batch=2), out, "another run", str(first.pid))
        self.assert_refused(self.sweep(out, "--force", samples=2), out, "another run", str(first.pid))
        self.assertEqual((out / "machine.json").stat().st_mtime_ns, made)
        first.send_signal(signal.SIGCONT)
        self.assertEqual(first.wait(60), 0)
        self.assertEqual(len({key_of(row) for row in rows_of(out)}), 72)
        self.assertEqual(len(rows_of(out)), 72)

    def test_of_one_shard_likewise_but_shards_run_side_by_side(self):
        out = self.folder / "side_by_side"
        call = self.call(out, "--shard", "1/2", samples=12, batch=2)
        first = subprocess.Popen([BINARY, *map(str, call)], stdout=subprocess.DEVNULL)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        folder = out / "shards/001-of-002"
        self.wait_for_rows(first, folder / "results.csv", 1)
        first.send_signal(signal.SIGSTOP)
        self.assert_refused(tidegauge(*call), folder, "another run")
        self.assert_done(self.sweep(out, "--shard", "2/2", samples=12, batch=64))
        self.assert_refused(self.sweep(out, "--merge", samples=12), "001-of-002")
        first.send_signal(signal.SIGCONT)
        self.assertEqual(first.wait(60), 0)
        self.assert_done(self.sweep(out, "--merge", samples=12))
        self.assertEqual(len(rows_of(out)), 72)

    def test_kill_lets_go_of_the_folder(self):
        out = self.folder / "let_go"
        first = self.begin(out, batch=1)
        first.kill()
        first.wait()
        self.assert_done(self.sweep(out, batch=1))

    def test_a_foreign_folder_stays_as_it_is(self):
        out = self.folder / "letters"
        out.mkdir()
        (out / "letter.txt").write_text("dear reader")
        self.assert_refused(self.sweep(out), out, "--force")
        self.assertEqual(os.listdir(out), ["letter.txt"])


class EmptyGrid(SweepCase):
    def test_every_way_to_ask_for_nothing(self):
        whole = {"policies": '["full"]', "tasks": '["needle"]', "lengths": "[400]", "depths": "[0.5]", "samples": "1",
                 "seeds": "[0]"}
        path, out = self.folder / "empty.toml", self.folder / "nothing"
        for key, value, part in (
            ("policies", "[]", "line 1"),
            ("tasks", "[]", "line 2"),
            ("lengths", "[]", "line 3"),
            ("depths", "[]", "line 4"),
            ("samples", "0", "line 5"),
            ("seeds", "[]", "line 6"),
        ):
            with self.subTest(key):
                path.write_text("".join(f"{name} = {text}\n" for name, text in (whole | {key: value}).items()))
                process = tidegauge("sweep", "--model", self.model, "--config", path, "--out", out)
                self.assert_refused(process, path, part, f"'{key}'")
        for text, part in (('[[grid]]\npolicy = "tidal"\nbudget = []\n', "the grid is empty"),
                           ('lengths = [400]\n', "the grid is empty"), ('[[grid]]\nbudget = [32]\n', "'policy'")):
            path.write_text(text)
            self.assert_refused(tidegauge("sweep", "--model", self.model, "--config", path, "--out", out), path, part)
        self.assert_refused(self.sweep(out, policies=("",)), "empty")
        self.assertFalse(out.exists())
