"""The experiments of the papers: every config is sound for the model that it is for, every published figure has
its source, and the scripts run from the first step to the comparison. On tiny models with as many layers."""

import csv
import json
import pathlib
import re
import subprocess
import tomllib
import unittest

import tiny_gguf
from command import BINARY, CommandCase, made_up_text, tidegauge

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAPERS = sorted(path.parent for path in (ROOT / "experiments").glob("*/published.toml"))
LAYERS = {"smollm2": (30, 8192), "llama-3-8b": (32, 131072)}
SOURCE = re.compile(r"arXiv \d{4}\.\d{5}|ICLR 2025|published code")


class ExperimentCase(CommandCase):
    """Two tiny models, and the files that are made before a sweep."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = cls.folder / "text.txt"
        cls.text.write_text(made_up_text(3000))
        for settings, (n_layers, positions) in LAYERS.items():
            place = cls.place(settings)
            place.mkdir()
            tiny_gguf.write(place / "tiny.gguf", n_layers=n_layers, max_positions=positions, head_dim=64)
            call = ("--model", place / "tiny.gguf", "--text", cls.text)
            recording = ("--task", "text", "--length", 64, "--steps", 2, "--policy", "full")
            cls.made(tidegauge("record", *call, *recording, "--out", place / "text"))
            cls.made(tidegauge("analyze", *(place / "text").glob("*.h5"), "--no-figures", "--out", place / "analysis"))
            cls.made(tidegauge("calibrate", *call, "--blocks", 1, "--block-length", 64, "--out", place / "channels.json"))
            (place / "headmap.json").write_bytes((place / "analysis" / "headmap.json").read_bytes())

    @staticmethod
    def made(process):
        if process.returncode != 0:
            raise RuntimeError(process.stderr)

    @classmethod
    def place(cls, settings):
        return cls.folder / settings

    def experiment(self, name, *settings):
        """The whole script on the tiny model; returns its folder."""
        place, out = self.place("smollm2"), self.folder / name
        call = [ROOT / "experiments" / name / "run.sh", out, f"model={place / 'tiny.gguf'}", f"headmap={place / 'headmap.json'}", *settings]
        done = subprocess.run(list(map(str, call)), capture_output=True, text=True, timeout=300,
                              env={"PATH": "/usr/bin:/bin", "TIDEGAUGE": BINARY})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("compared: ", done.stdout)
        with open(out / "compared.csv") as file:
            return out, list(csv.DictReader(file))


class Configs(ExperimentCase):
    def test_there_are_the_twelve(self):
        self.assertEqual(len(PAPERS), 12)
        readme = (ROOT / "experiments" / "README.md").read_text()
        for paper in PAPERS:
            self.assertTrue((paper / "run.sh").stat().st_mode & 0o100, paper.name)
            self.assertEqual(sorted(entry.name for entry in paper.iterdir() if entry.is_dir()), sorted(LAYERS), paper.name)
            self.assertIn(f"| [{paper.name}]({paper.name}/run.sh)", readme)

    def test_every_sweep_binds_to_a_model_of_its_depth(self):
        for paper in PAPERS:
            for settings in LAYERS:
                config = paper / settings / "sweep.toml"
                if not config.exists():
                    continue
                with self.subTest(paper=paper.name, settings=settings):
                    # Lengths of the text and a task that any length will do for: what is tried are the policies.
                    done = subprocess.run(
                        [BINARY, "sweep", "--config", config, "--model", self.place(settings) / "tiny.gguf", "--text", self.text,
                         "--tasks", "text", "--set", "lengths=[64]", "--set", "samples=1", "--dry-run", "--json"],
                        cwd=self.place(settings), capture_output=True, text=True, timeout=120)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertGreater(json.loads(done.stdout)["rows"], 0)

    def test_every_sweep_names_tasks_that_are_there(self):
        configs = [tomllib.loads(path.read_text()) for paper in PAPERS for path in paper.glob("*/sweep.toml")]
        for task, length in sorted({(task, max(config["lengths"])) for config in configs for task in config["tasks"]}):
            with self.subTest(task=task, length=length):
                self.assert_done(tidegauge("task", task, "--model", self.place("llama-3-8b") / "tiny.gguf", "--length", length))

    def test_every_published_figure_has_a_source(self):
        for paper in PAPERS:
            root = tomllib.loads((paper / "published.toml").read_text())
            for series in root["series"]:
                if "published" in series:
                    with self.subTest(paper=paper.name, series=series["name"]):
                        self.assertRegex(series.get("source", root.get("source", "")), SOURCE)
                        self.assertTrue(series.get("published_for", root.get("published_for")))


class Runs(ExperimentCase):
    def test_a_recording_is_analysed_and_compared(self):
        out, rows = self.experiment("tidaldecode-recall", f"text={self.text}", "length=300", "samples=2", "steps=2")
        beside = [row for row in rows if row["published"] and row["ours"]]
        self.assertEqual([row["relation"] for row in beside], ["<", "about"])
        self.assertTrue((out / "compared.svg").exists())

    def test_a_sweep_is_compared_and_what_is_small_is_kept(self):
        keep = self.folder / "kept"
        settings = (f"text={self.text}", "lengths=[1024]", "samples=1", "depths=[0.5]", "new_tokens=2", f"keep={keep}")
        _, rows = self.experiment("tidaldecode-needle", *settings)
        self.assertEqual(len([row for row in rows if row["published"] and row["ours"]]), 15)
        kept = {str(path.relative_to(keep / "tidaldecode-needle")) for path in keep.rglob("*") if path.is_file()}
        self.assertLessEqual({"compared.csv", "compared.svg", "sweep/results.csv", "sweep/config.toml", "sweep/machine.json"}, kept)
        self.assertFalse([name for name in kept if name.endswith((".h5", ".html", ".png"))])

    def test_anchors_that_were_found_are_swept(self):
        calibration = ("calibrate.blocks=1", "calibrate.block-length=64", "calibrate.k=8", f"calibrate.text={self.text}")
        settings = (f"text={self.text}", "tasks=text", "lengths=[64]", "samples=1", "new_tokens=1")
        out, rows = self.experiment("kascade-anchors", *calibration, *settings)
        placements = {one["search"]: one for one in json.loads((out / "kascade.json").read_text())["evidence"]["placements"]}
        self.assertEqual(placements["paper"]["anchors"], "0+2+8+12+13")
        self.assertGreaterEqual(placements["dynamic"]["value"], placements["greedy"]["value"])
        found = [row for row in rows if row["series"] == "greedy, head map"]
        self.assertTrue(found and all(row["ours"] for row in found), rows)

    def test_settings_that_are_not_there(self):
        done = subprocess.run([ROOT / "experiments" / "quest-passkey" / "run.sh", self.folder / "none", "settings=llama-4"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("there are: ", done.stderr)


if __name__ == "__main__":
    unittest.main()
