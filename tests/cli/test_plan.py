"""`plan` as a user meets it: what it writes is taken by other commands, it goes on where it was, bad input is named."""

import json
import tomllib

from command import CommandCase, made_up_text, tidegauge


class Plan(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = cls.folder / "text.txt"
        cls.text.write_text(made_up_text(300))

    def plan(self, out, *arguments):
        usual = {"--length": 420, "--depths": "0.2,0.8", "--budget": 32, "--samples": 4, "--validate": 6, "--first": 1, "--random": 1}
        others = [part for option, value in usual.items() if option not in arguments for part in (option, value)]
        return tidegauge("plan", "--model", self.model, "--raw", "--text", self.text, "--out", self.folder / out, *others, *arguments)

    def test_what_it_writes_is_what_other_commands_take(self):
        process = self.plan("whole", "--json")
        self.assert_done(process)
        result = json.loads(process.stdout)
        self.assertEqual(result, json.loads((self.folder / "whole/plan.json").read_text()))
        self.assertEqual([level["select_layers"] for level in result["search"]], [1, 2])
        self.assertEqual(len(result["search"][1]["placements"]), 3)
        rivals = {rival["what"]: rival for rival in result["validation"]}
        self.assertLessEqual({"full attention", "chosen", "chosen, same head", "rule of thumb", "oracle"}, set(rivals))
        for rival in rivals.values():
            self.assertEqual(rival["n"], 6)
            self.assertLessEqual(rival["low"], rival["accuracy"])
        placement = tomllib.loads((self.folder / "whole/placement.toml").read_text())
        self.assertEqual(placement["policy"], rivals["chosen"]["policy"])
        self.assertEqual(len(placement["placement"]), 5)
        self.assertEqual(placement["evidence"]["validation_samples"], 6)
        file = self.folder / "whole/placement.toml"
        self.assert_done(self.generate("--policy", f"tidal:placement=@{file},budget=32,map=@{placement['map']}"))
        self.assert_done(self.generate("--policy", placement["policy"]))
        for file in ("validation/report.html", "report.html", "plan_layers.svg", "plan_map.png", "plan_validation.svg"):
            self.assertTrue((self.folder / "whole" / file).exists(), file)
        self.assertGreater(rivals["chosen"]["predicted_ms"], 0)
        self.assertGreaterEqual(len(result["latency"]["fitted"]), 7)
        self.assertGreaterEqual(len(result["latency"]["held_out"]), 2)
        self.assertEqual(len(result["chosen"]), placement["placement"].count("S"))
        again = tidegauge("report", self.folder / "whole")
        self.assert_done(again)
        self.assertIn("on samples that the search has not seen", again.stdout)
        moved = (self.folder / "whole").rename(self.folder / "moved")
        self.assert_done(tidegauge("report", moved))
        moved.rename(self.folder / "whole")
        (self.folder / "whole/plan.json").write_text("{}")
        self.assert_refused(tidegauge("report", self.folder / "whole"), "plan.json", "n_layers")

    def test_the_same_command_goes_on_and_another_is_refused(self):
        self.assert_done(self.plan("again", "--map", "none", "--cost", "latency"))
        rows = (self.folder / "again/search.csv").read_bytes()
        self.assert_done(self.plan("again", "--map", "none", "--cost", "latency"))
        self.assertEqual((self.folder / "again/search.csv").read_bytes(), rows)
        self.assert_refused(self.plan("again", "--map", "none", "--cost", "latency", "--floor", 0.5), "again", "--force")

    def test_force_begins_anew(self):
        self.assert_done(self.plan("anew"))
        rows = (self.folder / "anew/search.csv").read_text().splitlines()
        self.assert_done(self.plan("anew", "--dtype", "fp32", "--kv-dtype", "fp32", "--force"))
        others = (self.folder / "anew/search.csv").read_text().splitlines()
        self.assertEqual(len(others), len(rows))
        self.assertFalse(set(rows[1:]) & set(others[1:]))

    def test_any_first_layer(self):
        process = self.plan("any", "--map", "none", "--any-first", "--latency-steps", 0, "--select-layers", 9, "--exhaustive", 3, "--beam", 2, "--json")
        self.assert_done(process)
        levels = json.loads(process.stdout)["search"]
        self.assertEqual([level["select_layers"] for level in levels], [1, 2, 3, 4])
        self.assertEqual([level["exhaustive"] for level in levels], [True, False, False, True])

    def test_bad_input(self):
        self.assert_refused(self.plan("bad", "--map", "other"), "--map other", "auto, none or @FILE")
        self.assert_refused(self.plan("bad", "--map", "@nowhere.json"), "nowhere.json")
        self.assert_refused(self.plan("bad", "--task", "perplexity"), "perplexity", "neither right nor wrong")
        self.assert_refused(self.plan("bad", "--method", "quest"), "quest", "select")
        self.assert_refused(self.plan("bad", "--first", 5), "5")
        self.assert_refused(self.plan("bad", "--budget", "none"), "budget")
        self.assert_refused(self.plan("bad", "--cost", "latency", "--latency-steps", 0), "--cost latency", "--latency-steps")
        self.assert_refused(self.plan("bad", "--length", 9999), "9999")
        self.assertFalse((self.folder / "bad").exists())
