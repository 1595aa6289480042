"""A checkpoint may name several tokens at which a text ends."""

import json

import tiny_gguf
from command import CommandCase, tidegauge


class EndTokens(CommandCase):
    def generate_from(self, model, *arguments):
        process = tidegauge("generate", "--model", model, "--prompt", "the tide", "--raw", "--steps", 8, "--json", *arguments)
        self.assert_done(process)
        return json.loads(process.stdout)

    def test_each_of_them_ends_a_text(self):
        through = self.generate_from(self.model, "--ignore-eos")["ids"]
        self.assertEqual(len(through), 8)
        for end in dict.fromkeys(through):
            model = self.folder / f"ends_at_{end}.gguf"
            tiny_gguf.write(model, end_of_turn=end)
            answer = self.generate_from(model)
            self.assertEqual(answer["ids"], through[: through.index(end) + 1])
            self.assertTrue(answer["ended"])
            self.assertEqual(self.generate_from(model, "--ignore-eos")["ids"], through)
