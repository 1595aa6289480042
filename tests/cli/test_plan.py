"""`plan` as a user meets it: what it writes is taken by other commands, it goes on where it was, bad input is named."""

import fcntl
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
        usual = {"--length": 420, "--depths": "0.2,0.8", "--budget": 32, "--samples": 4, "--choice": 4, "--validate": 6, "--first": 1, "--random": 1}
        others = [part for option, value in usual.items() if option not in arguments for part in (option, value)]
        return tidegauge("plan", "--model", self.model, "--raw", "--text", self.text, "--out", self.folder / out, *others, *arguments)

    def test_what_it_writes_is_what_other_commands_take(self):
        process = self.plan("whole", "--json")
        self.assert_done(process)
        result = json.loads(process.stdout)
        folder = self.folder / "whole"
        self.assertEqual(result, json.loads((folder / "plan.json").read_text()))
        self.assertEqual([level["select_layers"] for level in result["search"]], [1, 2])
        placements = {tuple(one["select"]) for one in result["search"][1]["placements"]}
        self.assertEqual(placements, {(1, 2), (1, 3), (1, 4)})
        rivals = {rival["what"]: rival for rival in result["validation"]}
        wanted = {"full attention", "chosen", "kascade DP", "rule of thumb", "tidal as published", "oracle"}
        self.assertLessEqual(wanted, set(rivals))
        for rival in rivals.values():
            self.assertEqual(rival["n"], 6)
            self.assertLessEqual(rival["low"], rival["accuracy"])
        placement = tomllib.loads((folder / "placement.toml").read_text())
        self.assertEqual(placement["policy"], rivals["chosen"]["policy"])
        self.assertEqual(placement["settings"], rivals["chosen"]["settings"])
        self.assertEqual(len(placement["placement"]), 5)
        self.assertEqual(placement["evidence"]["validation_samples"], 6)
        file = folder / "placement.toml"
        self.assert_done(self.generate("--policy", f"tidal:placement=@{file},budget=32"))
        self.assert_done(self.generate("--policy", placement["policy"]))
        self.assert_done(self.generate("--policy", f"@{file}"))
        self.assertGreater(rivals["chosen"]["predicted_ms"], 0)
        self.assertGreaterEqual(len(result["latency"]["fitted"]), 7)
        self.assertGreaterEqual(len(result["latency"]["held_out"]), 2)
        self.assertEqual(result["chosen"], rivals["chosen"]["select"])
        self.assertEqual(len(result["chosen"]), placement["placement"].count("S"))
        again = tidegauge("report", folder)
        self.assert_done(again)
        self.assertIn("on samples that the search has not seen", again.stdout)
        (folder / "plan.json").write_text("{}")
        self.assert_refused(tidegauge("report", folder), "plan.json", "n_layers")

    def test_a_second_run_in_the_same_folder_is_refused(self):
        out = self.folder / "busy"
        out.mkdir()
        with open(out / ".lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for arguments in ((), ("--force",)):
                self.assert_refused(self.plan("busy", *arguments), out, "another run")
        self.assertEqual([path.name for path in out.iterdir()], [".lock"])

    def test_settings_are_chosen_and_those_given_stay(self):
        process = self.plan("settings", "--json", "--latency-steps", 0, "--map-k", "8,24", "--method", "tidal:recent=4|8,sharing=head")
        self.assert_done(process)
        result = json.loads(process.stdout)
        self.assertEqual(result["searched"]["recent"], ["4", "8"])
        self.assertEqual(result["searched"]["sharing"], ["head"])
        self.assertEqual(set(result["searched"]["map"]), {"text-8", "text-24", "none"})
        tried = [one["settings"] for level in result["search"] for one in level["placements"]]
        self.assertEqual({one["recent"] for one in tried}, {"4", "8"})
        self.assertEqual({one["map"] for one in tried}, {"text-8", "text-24", "none"})
        self.assertEqual({one["sinks"] for one in tried}, {"0", "1", "2", "4"})
        self.assertEqual({one["sharing"] for one in tried}, {"head"})
        for one in result["search"][0]["placements"]:
            for name, value in one["settings"].items():
                self.assertIn(f"{name}={value}", one["candidate"])

    def test_a_plan_with_a_map_moves_with_its_folder(self):
        method = ("--method", "tidal:recent=4,sinks=1,sharing=head", "--latency-steps", 0)
        self.assert_done(self.plan("made", *method))
        made = self.folder / "made/headmaps/text-64-head.json"
        process = self.plan("given", *method, "--map", f"@{made}", "--json")
        self.assert_done(process)
        result = json.loads(process.stdout)
        self.assertEqual(result["settings"]["map"], "file")
        self.assertIn("chosen, same head", [rival["what"] for rival in result["validation"]])
        for file in ("validation/report.html", "report.html", "plan_layers.svg", "plan_map.png", "plan_map_share.svg", "plan_frontier.svg", "plan_validation.svg"):
            self.assertTrue((self.folder / "given" / file).exists(), file)
        # With one value of a setting, and one map, there is nothing to choose but layers.
        process = self.plan("fixed", *method, "--map", f"@{made}", "--select-layers", 1, "--json")
        self.assertEqual(len(json.loads(process.stdout)["search"][0]["placements"]), 1)
        moved = (self.folder / "given").rename(self.folder / "moved")
        self.assert_done(tidegauge("report", moved))
        self.assert_done(self.generate("--policy", f"@{moved}/placement.toml"))

    def test_budgets_make_a_frontier(self):
        process = self.plan("budgets", "--budget", "16,48", "--map", "none", "--latency-steps", 0, "--json", "--method", "tidal:sharing=head")
        self.assert_done(process)
        result = json.loads(process.stdout)
        self.assertEqual([(level["budget"], level["select_layers"]) for level in result["search"]], [("48", 1), ("48", 2), ("16", 1), ("16", 2)])
        self.assertEqual(len(result["frontier"]), 4)
        self.assertEqual(sum(one["chosen"] for one in result["frontier"]), 1)
        front = sorted((one for one in result["frontier"] if one["on_frontier"]), key=lambda one: one["cost"])
        for fewer, more in zip(front, front[1:]):
            self.assertLess(fewer["accuracy"], more["accuracy"])
        for one in result["frontier"]:
            beaten = any(other["cost"] <= one["cost"] and other["accuracy"] > one["accuracy"] for other in result["frontier"])
            self.assertFalse(one["on_frontier"] and beaten)
        names = [rival["what"] for rival in result["validation"]]
        self.assertEqual(sum(name.startswith("best with") for name in names), 3)
        self.assertEqual([one["select_layers"] for one in result["smallest"]], [1, 2])

    def test_cost_at_most_takes_what_it_can_pay(self):
        process = self.plan("cost", "--budget", "16,48", "--map", "none", "--latency-steps", 0, "--json", "--cost-at-most", 1, "--select-layers", 1)
        self.assert_done(process)
        result = json.loads(process.stdout)
        self.assertEqual(result["objective"], {"cost": "rows", "cost_at_most": 1.0})
        costs = [one["cost"] for one in result["frontier"]]
        self.assertEqual(min(costs), next(one["cost"] for one in result["frontier"] if one["chosen"]))

    def test_maps_of_the_task_stand_beside_those_of_text(self):
        process = self.plan("task", "--map", "text+task", "--map-k", "16", "--latency-steps", 0, "--json", "--method", "tidal:sharing=head|group,sinks=0,recent=4")
        self.assert_done(process)
        self.assertEqual(set(json.loads(process.stdout)["searched"]["map"]), {"text-16", "task-16", "none"})
        maps = {path.name: json.loads(path.read_text()) for path in (self.folder / "task/headmaps").iterdir()}
        self.assertEqual(set(maps), {f"{source}-16-{sharing}.json" for source in ("text", "task") for sharing in ("head", "group")})
        self.assertIn("answer steps of 4 samples of needle", maps["task-16-head.json"]["made_from"])
        self.assertEqual(maps["task-16-group.json"]["unit"], "kv_head")
        self.assertEqual(len(maps["task-16-group.json"]["evidence"]["own_mass"]), 5)

    def test_every_method_that_reuses_sets_can_be_planned(self):
        for method in ("kascade", "lessismore", "omnikv"):
            process = self.plan(method, "--method", method, "--latency-steps", 0, "--select-layers", 1, "--samples", 2, "--validate", 2, "--json")
            self.assert_done(process)
            self.assertTrue(json.loads(process.stdout)["validation"][1]["policy"].startswith(method))

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
        self.assertGreater(len(others), 1)
        self.assertFalse(set(rows[1:]) & set(others[1:]))

    def test_any_first_layer(self):
        fixed = ("--method", "tidal:recent=4,sinks=1,sharing=head")
        process = self.plan("any", "--map", "none", "--any-first", "--latency-steps", 0, "--select-layers", 9, "--exhaustive", 3, "--beam", 2, "--json", *fixed)
        self.assert_done(process)
        levels = json.loads(process.stdout)["search"]
        self.assertEqual([level["select_layers"] for level in levels], [1, 2, 3, 4])
        self.assertEqual([level["exhaustive"] for level in levels], [True, False, False, True])
        process = self.plan("greedy", "--map", "none", "--any-first", "--latency-steps", 0, "--select-layers", 3, "--search", "greedy", "--json", *fixed)
        self.assert_done(process)
        self.assertEqual([level["exhaustive"] for level in json.loads(process.stdout)["search"]], [True, False, False])

    def test_bad_input(self):
        self.assert_refused(self.plan("bad", "--map", "other"), "--map other", "auto, text, task, text+task, none or @FILE")
        self.assert_refused(self.plan("bad", "--map", "@nowhere.json"), "nowhere.json")
        self.assert_refused(self.plan("bad", "--task", "perplexity"), "perplexity", "neither right nor wrong")
        self.assert_refused(self.plan("bad", "--method", "quest"), "quest", "select")
        self.assert_refused(self.plan("bad", "--first", 5), "5")
        self.assert_refused(self.plan("bad", "--method", "tidal:budget=3"), "tidal:budget=3", "--budget")
        self.assert_refused(self.plan("bad", "--method", "tidal:recent"), "tidal:recent", "key=value")
        self.assert_refused(self.plan("bad", "--method", "tidal:recent=4|"), "recent", "empty value")
        self.assert_refused(self.plan("bad", "--method", "tidal:recent=4,recent=8"), "recent", "given twice")
        self.assert_refused(self.plan("bad", "--method", "tidal:recent=4|few"), "recent", "few")
        self.assert_refused(self.plan("bad", "--method", "tidal:sharing=head|some"), "sharing", "some")
        self.assert_refused(self.plan("bad", "--method", "tidal:recent=30,sinks=2"), "--budget 32", "no room")
        self.assert_refused(self.plan("bad", "--method", "tidal:colour=red"), "colour")
        self.assert_refused(self.plan("bad", "--cost-at-most", 9, "--floor", 0.5), "--cost-at-most", "--floor")
        self.assert_refused(self.plan("bad", "--budget", "16,9999"), "9999")
        self.assert_refused(self.plan("bad", "--search", "all"), "--search", "all")
        self.assert_refused(self.plan("bad", "--map-k", "0"), "--map-k")
        self.assert_refused(self.plan("bad", "--budget", "none"), "budget")
        self.assert_refused(self.plan("bad", "--cost", "latency", "--latency-steps", 0), "--cost latency", "--latency-steps")
        self.assert_refused(self.plan("bad", "--length", 9999), "9999")
        self.assertFalse((self.folder / "bad").exists())
