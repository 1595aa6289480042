"""SIGINT and SIGTERM end a command in order."""

import os
import signal
import subprocess
import time

import h5py
from command import BINARY, CommandCase, tidegauge


class Interrupt(CommandCase):
    def interrupted_recording(self, out, number):
        """A recording of 500 steps that gets signal `number` once its first megabyte is written."""
        call = (BINARY, "record", "--model", self.model, "--prompt", "the tide", "--raw", "--ignore-eos")
        process = subprocess.Popen(
            [*call, "--steps", "500", "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        part = out.with_name(out.name + ".part")
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if part.exists() and part.stat().st_size > 1_000_000:
                break
            time.sleep(0.001)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        return part, errors

    def test_recording_keeps_its_steps_and_is_not_taken_for_finished(self):
        for number, name in ((signal.SIGINT, "int"), (signal.SIGTERM, "term")):
            with self.subTest(name):
                out = self.folder / f"{name}.h5"
                part, errors = self.interrupted_recording(out, number)
                self.assertFalse(out.exists())
                self.assertIn(str(part), errors.splitlines()[-1])
                recovered = self.folder / f"{name}_recovered.h5"
                self.assert_done(tidegauge("inspect", part, "--recover", recovered))
                with h5py.File(recovered, "r") as file:
                    steps = file["steps/kv_len"].shape[0]
                    self.assertEqual(steps, file.attrs["committed_steps"])
                    self.assertGreater(steps, 10)
                    self.assertLess(steps, 500)

    def test_generate_ends_with_130(self):
        process = subprocess.Popen(
            [BINARY, "generate", "--model", self.model, "--prompt", "x", "--ignore-eos", "--steps", "400"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.read(1)  # decoding has begun
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
