"""`tidegauge compare`: a run's figures beside published ones, as a user meets it."""

import csv
import json

from command import CommandCase, tidegauge

TABLE = "task,length,policy,n,accuracy,accuracy_low,accuracy_high\nneedle,64,full,4,1,0.5,1\nneedle,64,quest:budget=32,4,0.5,0.15,0.85\n"
PUBLISHED = """
table = "table.csv"
measure = "accuracy"
source = "a paper, table 2"
[[series]]
name = "Quest"
where = { name = "quest" }
x_column = "budget"
x = [32, 64]
published = [0.74, 0.84]
"""


class Compare(CommandCase):
    def setUp(self):
        self.run_folder = self.folder / self.id().rsplit(".", 1)[1]
        self.run_folder.mkdir()
        (self.run_folder / "table.csv").write_text(TABLE)
        self.published = self.run_folder / "published.toml"
        self.published.write_text(PUBLISHED)

    def compare(self, *arguments):
        return tidegauge("compare", "--published", self.published, self.run_folder, *arguments)

    def test_writes_a_table_with_both(self):
        done = self.compare()
        self.assert_done(done)
        self.assertRegex(done.stdout, r"Quest +32 +0\.5 +0\.15 to 0\.85 +4 +0\.74")
        with open(self.run_folder / "compared.csv") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["x"], row["ours"], row["published"]) for row in rows], [("32", "0.5", "0.74"), ("64", "", "0.84")])
        self.assertEqual({row["source"] for row in rows}, {"a paper, table 2"})
        self.assertTrue((self.run_folder / "compared.svg").exists())

    def test_as_json(self):
        figures = json.loads(self.compare("--json").stdout)["figures"]
        self.assertEqual(figures[0], {"series": "Quest", "x": 32, "ours": 0.5, "ours_low": 0.15, "ours_high": 0.85, "n": 4,
                                      "published": 0.74, "source": "a paper, table 2"})

    def test_bad_input(self):
        for text, *parts in (
            (PUBLISHED.replace("source", "sauce"), "published.toml, line 4: key 'sauce' is unknown; the nearest is 'source'"),
            (PUBLISHED.replace('source = "a paper, table 2"', ""), "line 5: key 'source': expected the paper"),
            (PUBLISHED.replace("0.84", '"0.84"'), "line 10: key 'published': expected a number"),
            (PUBLISHED.replace("[32, 64]", "[32]"), "key 'published': expected 1 numbers"),
            (PUBLISHED.replace('"table.csv"', '"tables.csv"'), "tables.csv: is not there"),
            (PUBLISHED.replace('"accuracy"', '"speed"'), "table.csv: has no column speed"),
            (PUBLISHED.replace("= [0.74", "[0.74"), "line 10"),
        ):
            with self.subTest(parts[0]):
                self.published.write_text(text)
                self.assert_refused(self.compare(), *parts)
        self.assert_refused(tidegauge("compare", "--published", self.published, self.folder / "none"), "none: no such folder")
