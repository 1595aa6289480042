"""TOML configurations and what is set on top of them."""

from command import CommandCase, tidegauge


class BadConfig(CommandCase):
    def with_config(self, text, *arguments, command="generate"):
        path = self.folder / "run.toml"
        path.write_text(text)
        return tidegauge(command, "--model", self.model, "--config", path, *arguments)

    def test_sound_one_is_taken(self):
        self.assert_done(self.with_config('prompt = "the tide"\nsteps = 2\nignore-eos = true\n'))

    def test_command_line_wins(self):
        process = self.with_config('prompt = "x"\nsteps = 9\nignore-eos = true\n', "--steps", 2, "--json")
        self.assert_done(process)
        self.assertIn('"ids"', process.stdout)

    def test_misspelt_key_names_the_nearest(self):
        self.assert_refused(
            self.with_config('prompt = "x"\npolcy = "full"\n'), "run.toml", "key 'polcy' is unknown", "nearest is 'policy'"
        )
        self.assert_refused(self.with_config('prompt = "x"\n', "--set", "stesp=3"), "'stesp'", "nearest is 'steps'")

    def test_misspelt_key_of_a_sweep(self):
        process = self.with_config('policys = ["full"]\n', "--dry-run", command="sweep")
        self.assert_refused(process, "run.toml", "policys", "policies")

    def test_syntax_error_names_the_line(self):
        self.assert_refused(self.with_config('prompt = "x"\nsteps =\n'), "run.toml", "line 2")

    def test_value_of_the_wrong_kind(self):
        self.assert_refused(self.with_config('prompt = "x"\nsteps = "many"\n'), "steps")
        self.assert_refused(self.with_config('prompt = "x"\nsteps = {a = 1}\n'), "run.toml", "steps")
        self.assert_refused(self.with_config('prompt = "x"\nignore-eos = "perhaps"\n'), "ignore-eos")

    def test_missing_file(self):
        self.assert_refused(self.generate("--config", self.folder / "absent.toml"), "absent.toml")

    def test_set_without_equals(self):
        self.assert_refused(self.generate("--set", "steps"), "--set steps", "key=value")


class BadSweep(CommandCase):
    def sweep(self, *arguments):
        options = {"--policy": "full", "--lengths": "400", "--depths": "0.5", "--samples": "1", "--new-tokens": "2"}
        options["--out"] = self.folder / "sweep"
        options.update(zip(arguments[::2], arguments[1::2]))
        return tidegauge("sweep", "--model", self.model, *[word for pair in options.items() for word in pair])

    def test_what_cannot_be_swept(self):
        for option, value, part in (
            ("--policy", "tidl", "nearest is 'tidal'"),
            ("--policy", "tidal:budget=0|64", "budget is 0"),
            ("--tasks", "neddle", "nearest is 'needle'"),
            ("--lengths", "4000", "512 positions"),
            ("--lengths", "x", "lengths"),
            ("--depths", "1.5", "depths"),
            ("--depths", "", "depths"),
            ("--samples", "0", "samples"),
            ("--batch", "0", "batch"),
            ("--seeds", "-1", "seeds"),
            ("--text", "/nowhere", "/nowhere"),
        ):
            with self.subTest(option=option, value=value):
                self.assert_refused(self.sweep(option, value), part)
                self.assertFalse((self.folder / "sweep").exists())

    def test_unknown_types_in_the_file(self):
        path = self.folder / "types.toml"
        for line, part in (('dtype = "int3"', "'int3'"), ('kv_dtype = "bf8"', "'bf8'")):
            with self.subTest(line):
                path.write_text(f'policies = ["full"]\n{line}\n')
                process = tidegauge("sweep", "--model", self.model, "--config", path, "--dry-run")
                self.assert_refused(process, part, "expected bf16")

    def test_without_policies(self):
        self.assert_refused(tidegauge("sweep", "--model", self.model, "--dry-run"), "no policy")

    def test_folder_of_another_sweep_is_refused_and_of_the_same_resumed(self):
        folder = self.folder / "resumed"
        self.assert_done(self.sweep("--out", folder))
        rows = (folder / "results.csv").read_bytes()
        self.assert_done(self.sweep("--out", folder))
        self.assertEqual((folder / "results.csv").read_bytes(), rows)
        self.assert_refused(self.sweep("--out", folder, "--samples", "2"), folder, "--force")
        self.assertEqual((folder / "results.csv").read_bytes(), rows)
