"""Outputs that exist, cannot be written, or are not what they should be."""

import os
import resource

from command import CommandCase, tidegauge


class ExistingOutput(CommandCase):
    def test_same_configuration_resumes(self):
        out = self.folder / "same.h5"
        self.assert_done(self.record(out))
        written = out.read_bytes()
        self.assert_done(self.record(out))
        self.assertEqual(out.read_bytes(), written)

    def test_another_configuration_is_refused_unless_forced(self):
        out = self.folder / "other.h5"
        self.assert_done(self.record(out))
        written = out.read_bytes()
        self.assert_refused(self.record(out, "--policy", "tidal"), "other.h5", "--force")
        self.assertEqual(out.read_bytes(), written)
        self.assert_done(self.record(out, "--policy", "tidal", "--force"))
        self.assertNotEqual(out.read_bytes(), written)

    def test_foreign_file_is_not_replaced(self):
        out = self.folder / "letter.h5"
        out.write_text("dear reader")
        self.assert_refused(self.record(out), "letter.h5")
        self.assertEqual(out.read_text(), "dear reader")

    def test_folder_with_other_things_is_refused(self):
        run = self.folder / "run.h5"
        self.assert_done(self.record(run))
        full = self.folder / "full"
        full.mkdir()
        (full / "letter.txt").write_text("dear reader")
        self.assert_refused(tidegauge("analyze", run, "--out", full), full, "--force")
        self.assertEqual(os.listdir(full), ["letter.txt"])
        self.assert_refused(tidegauge("analyze", run, "--out", run), run, "not a folder")

    def test_export_is_refused_unless_forced(self):
        run, out = self.folder / "exported.h5", self.folder / "ids.csv"
        self.assert_done(self.record(run))
        call = ("export", run, "/tokens/generated_ids", "--out", out)
        self.assert_done(tidegauge(*call))
        self.assert_refused(tidegauge(*call), "ids.csv", "--force")
        self.assert_done(tidegauge(*call, "--force"))


class FullDisk(CommandCase):
    def test_fails_by_name_and_publishes_nothing(self):
        out = self.folder / "full_disk.h5"

        def little_room():
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

        call = ("record", "--model", self.model, "--prompt", "the tide", "--steps", 60, "--ignore-eos", "--out", out)
        process = tidegauge(*call, preexec_fn=little_room)
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertIn("full_disk.h5", process.stderr.splitlines()[-1])
        self.assertFalse(out.exists())

    def test_folder_that_cannot_be_made(self):
        (self.folder / "letter.txt").write_text("dear reader")
        process = self.record(self.folder / "letter.txt" / "x.h5")
        self.assertIn(process.returncode, (1, 2))
        self.assertIn("letter.txt", process.stderr.splitlines()[-1])


class RecordOptions(CommandCase):
    def test_what_cannot_be_recorded(self):
        out = self.folder / "never.h5"
        for arguments, part in (
            (("--maps", "all"), "--maps 'all'"),
            (("--maps", "topk:0"), "at least 1"),
            (("--maps", "topk:x"), "whole number"),
            (("--layers", "0+9"), "layer 9 is not there"),
            (("--layers", "1+1"), "layer 1 is named twice"),
            (("--prefill-rows", "100000"), "position 100000 is not there"),
            (("--prefill-rows", "last:0"), "at least 1"),
            (("--compress", "zip"), "--compress"),
            (("--max-gb", "-1"), "--max-gb"),
            (("--task", "needle"), "--prompt"),
            (("--policy", "nothing"), "nothing"),
        ):
            with self.subTest(arguments):
                self.assert_refused(self.record(out, *arguments), part)
                self.assertFalse(out.exists())
                self.assertFalse(out.with_name("never.h5.part").exists())

    def test_unknown_task_names_the_nearest(self):
        call = ("record", "--model", self.model, "--task", "neddle", "--out", self.folder / "samples")
        self.assert_refused(tidegauge(*call), "neddle", "needle")


class BadRecording(CommandCase):
    def setUp(self):
        self.run = self.folder / "sound.h5"
        if not self.run.exists():
            self.assert_done(self.record(self.run))

    def spoiled(self, name, spoil):
        path = self.folder / name
        path.write_bytes(spoil(bytearray(self.run.read_bytes())))
        return path

    def assert_every_reader_refuses(self, path):
        out = self.folder / "out"
        for call in (
            ("analyze", path, "--out", out),
            ("inspect", path),
            ("export", path, "/steps/kv_len", "--out", self.folder / "out.csv"),
        ):
            with self.subTest(call[0]):
                self.assert_refused(tidegauge(*call), path)
                self.assertFalse(out.exists())
                self.assertFalse((self.folder / "out.csv").exists())

    def test_missing(self):
        self.assert_every_reader_refuses(self.folder / "absent.h5")

    def test_foreign(self):
        self.assert_every_reader_refuses(self.spoiled("foreign.h5", lambda _: b"not hdf5 at all" * 100))

    def test_truncated(self):
        for share in (0.3, 0.9):
            self.assert_every_reader_refuses(
                self.spoiled("truncated.h5", lambda data, part=share: data[: int(len(data) * part)])
            )

    def test_hdf5_of_another_program(self):
        import h5py

        path = self.folder / "weather.h5"
        with h5py.File(path, "w") as file:
            file["temperature"] = [1.0, 2.0]
        for call in (("analyze", path, "--out", self.folder / "out"), ("export", path, "/x", "--out", self.folder / "o.csv")):
            self.assert_refused(tidegauge(*call), path)

    def test_dataset_that_is_not_there(self):
        call = ("export", self.run, "/layers/99/role", "--out", self.folder / "o.csv")
        self.assert_refused(tidegauge(*call), "/layers/99/role")

    def test_foreign_dump(self):
        dump = self.folder / "dump.npz"
        dump.write_bytes(b"PK nothing")
        self.assert_refused(tidegauge("import", dump, "--out", self.folder / "imported.h5"), "dump.npz")

    def test_folder_that_is_no_run(self):
        self.assert_refused(tidegauge("report", self.folder / "absent"), "absent")
