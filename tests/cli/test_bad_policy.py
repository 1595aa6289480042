"""Policy specs that contracts refuse, as a user meets them."""

import json

import tiny_gguf
from command import CommandCase, tidegauge


class BadPolicy(CommandCase):
    def assert_policy_refused(self, spec, *parts):
        with self.subTest(spec):
            self.assert_refused(self.generate("--policy", spec), *parts)

    def test_sound_ones_are_taken(self):
        for spec in ("full", "tidal:select=2+4,budget=16", "oracle:budget=10%", "random", "window:budget=12"):
            with self.subTest(spec):
                self.assert_done(self.generate("--policy", spec))

    def test_unknown_names_and_keys(self):
        self.assert_policy_refused("tidl", "'tidl' is unknown", "nearest is 'tidal'")
        self.assert_policy_refused("tidal:budgt=64", "'budgt' is unknown", "nearest is 'budget'")
        self.assert_policy_refused("tidal:sharing=haed", "sharing 'haed'", "nearest is 'head'")
        self.assert_policy_refused("tidal:budget", "key=value")

    def test_layers_absent_or_twice(self):
        self.assert_policy_refused("tidal:select=2+9", "layer 9 is not there, expected 0 to 4")
        self.assert_policy_refused("tidal:select=2+2", "layer 2 is named twice")
        self.assert_policy_refused("tidal:full=0+2,select=2", "layer 2 is named in full and in select")

    def test_sparse_before_selection(self):
        self.assert_policy_refused("tidal:placement=F.S..", "layer 1 is sparse before any selection")

    def test_budgets(self):
        self.assert_policy_refused("tidal:budget=0", "expected at least 1")
        self.assert_policy_refused("tidal:budget=513", "the model has 512 positions")
        self.assert_policy_refused("tidal:budget=20,sinks=4,recent=16", "expected at least 21")
        self.assert_policy_refused("oracle:budget=0%", "above 0%")
        self.assert_policy_refused("window:budget=lots", "whole number")


    def test_prompts_that_are_passed_sparsely(self):
        self.assert_policy_refused("tokenselect:scores=row", "scores 'row'", "nearest is 'raw'")
        self.assert_policy_refused("tokenselect:prefill=spares", "prefill 'spares'", "nearest is 'sparse'")
        self.assert_policy_refused("tokenselect:chunk=64", "chunk is a key of prefill=sparse")
        self.assert_done(self.generate("--policy", "tokenselect:prefill=sparse,chunk=4,budget=8"))
        out = self.folder / "rows.h5"
        process = self.record(out, "--policy", "tokenselect:prefill=sparse", "--prefill-rows", "0-1")
        self.assert_refused(process, "--prefill-rows 0-1", "passed sparsely")
        self.assertEqual(list(self.folder.glob("rows.h5*")), [])


class BadHeadMap(CommandCase):
    def map_file(self, **changes):
        """A sound map of the tiny model, of no model's digest unless `changes` says so."""
        layers, heads = tiny_gguf.N_LAYERS, tiny_gguf.N_HEADS
        row = [[list(range(heads)) if src < dst else [] for dst in range(layers)] for src in range(layers)]
        mass = [[[0.5] * len(heads_of) for heads_of in source] for source in row]
        content = {
            "format": "tidegauge-headmap",
            "version": 1,
            "model_sha256": "0" * 64,
            "unit": "query_head",
            "k": 64,
            "excluded": {"sinks": 4, "recent": 16},
            "made_from": "nothing",
            "source_head": row,
            "mass": mass,
        }
        path = self.folder / "map.json"
        path.write_text(json.dumps(content | changes))
        return path

    def model_sha256(self):
        import hashlib

        return hashlib.sha256(self.model.read_bytes()).hexdigest()

    def with_map(self, path, more=""):
        return self.generate("--policy", f"tidal:map=@{path}{more}")

    def test_fitting_map_is_taken(self):
        self.assert_done(self.with_map(self.map_file(model_sha256=self.model_sha256())))

    def test_of_another_model(self):
        self.assert_refused(self.with_map(self.map_file()), "map.json", "was made for the model with SHA-256 0000")

    def test_of_another_unit_or_shape(self):
        digest = self.model_sha256()
        self.assert_refused(
            self.with_map(self.map_file(model_sha256=digest, unit="kv_head")), "maps kv_head, sharing=head needs query_head"
        )
        small = [[[], [0, 1]], [[], []]]
        self.assert_refused(
            self.with_map(self.map_file(model_sha256=digest, source_head=small, mass=small)), "is for 2 layers of 2 heads"
        )
        self.assert_refused(self.with_map(self.map_file(model_sha256=digest), ",sharing=all"), "takes none")

    def test_missing_or_no_map(self):
        self.assert_refused(self.with_map(self.folder / "absent.json"), "absent.json")
        broken = self.folder / "broken.json"
        broken.write_text('{"format": ')
        self.assert_refused(self.with_map(broken), "broken.json", "not JSON at byte")
        self.assert_refused(self.with_map(self.map_file(version=2)), "version")
