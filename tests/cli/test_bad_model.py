"""Model files and prompts that cannot be used."""

from command import CommandCase, tidegauge


class BadModel(CommandCase):
    def with_model(self, path):
        return tidegauge("generate", "--model", path, "--prompt", "x", "--steps", 1)

    def spoiled(self, name, spoil):
        """The path of a copy of the sound model after spoil(bytes)."""
        path = self.folder / name
        path.write_bytes(spoil(bytearray(self.model.read_bytes())))
        return path

    def test_sound_model_is_taken(self):
        self.assert_done(self.with_model(self.model))

    def test_missing(self):
        path = self.folder / "absent.gguf"
        self.assert_refused(self.with_model(path), path, "no such file")

    def test_folder(self):
        self.assert_refused(self.with_model(self.folder), self.folder, "a folder without config.json")

    def test_foreign(self):
        path = self.spoiled("foreign.gguf", lambda _: b"PK\3\4" + bytes(1000))
        self.assert_refused(self.with_model(path), path, "byte 0", "not a GGUF file")

    def test_empty(self):
        path = self.spoiled("empty.gguf", lambda _: b"")
        self.assert_refused(self.with_model(path), path, "not a GGUF file")

    def test_truncated_anywhere(self):
        size = self.model.stat().st_size
        for cut in (4, 11, 24, 200, 3000, size // 2, size - 1):
            with self.subTest(cut):
                path = self.spoiled("truncated.gguf", lambda data: data[:cut])
                self.assert_refused(self.with_model(path), path, "byte ")

    def test_corrupt_counts(self):
        for offset in (4, 8, 16, 24):  # version, tensors, metadata, a key's length
            with self.subTest(offset):

                def spoil(data, at=offset):
                    data[at : at + 4] = b"\xff\xff\xff\x7f"
                    return data

                path = self.spoiled("corrupt.gguf", spoil)
                self.assert_refused(self.with_model(path), path, "byte ")

    def test_missing_tensor_is_named(self):
        path = self.spoiled("renamed.gguf", lambda data: data.replace(b"blk.3.ffn_up", b"blk.3.ffn_xx"))
        self.assert_refused(self.with_model(path), path, "blk.3.ffn_up.weight")

    def test_other_architecture_is_named(self):
        path = self.spoiled("mamba.gguf", lambda data: data.replace(b"\5\0\0\0\0\0\0\0llama", b"\5\0\0\0\0\0\0\0mamba"))
        self.assert_refused(self.with_model(path), path, "general.architecture is 'mamba'")


class BadPrompt(CommandCase):
    def generate_from(self, *arguments):
        return tidegauge("generate", "--model", self.model, *arguments)

    def test_none_and_both(self):
        self.assert_refused(self.generate_from("--steps", 1), "--prompt")
        text = self.folder / "prompt.txt"
        text.write_text("x")
        self.assert_refused(self.generate_from("--prompt", "x", "--prompt-file", text), "--prompt-file")

    def test_missing_and_empty_file(self):
        self.assert_refused(self.generate_from("--prompt-file", self.folder / "absent.txt"), "absent.txt")
        empty = self.folder / "empty.txt"
        empty.write_text("")
        self.assert_refused(self.generate_from("--prompt-file", empty), "empty.txt is empty")

    def test_longer_than_the_models_positions(self):
        self.assert_refused(self.generate_from("--raw", "--prompt", "x" * 513), "513 tokens", "512 positions")

    def test_steps_beyond_the_models_positions(self):
        self.assert_refused(self.generate_from("--raw", "--prompt", "x" * 500, "--steps", 14), "513", "512")
        self.assert_done(self.generate_from("--raw", "--prompt", "x" * 500, "--steps", 13))
