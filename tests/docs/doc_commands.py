"""The commands of a Markdown file: its fenced blocks of sh and python, and how each is tried.

A block is run unless the line above its fence is `<!-- not run: REASON -->`. In an sh block, `make`
lines and `cmake --preset` lines are not run (a test would build itself again): their targets and
presets must exist. Everything else runs, block after block, in one scratch folder.
"""

import json
import re
import shlex

BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>sh|python)\n(?P<text>.*?)^```$",
                   re.MULTILINE | re.DOTALL)
CONFIGURING = re.compile(r"^(make|cmake --preset|cmake --build --preset|ctest --preset)\b")
KINDS = {"cmake --preset": "configurePresets", "cmake --build --preset": "buildPresets",
         "ctest --preset": "testPresets"}


class Block:
    """One fenced block."""

    def __init__(self, language, text, line, reason):
        self.language, self.text, self.line, self.reason = language, text, line, reason

    def checked(self):
        """The lines whose targets or presets are looked up."""
        return [line for line in self._lines() if CONFIGURING.match(line)]

    def runnable(self):
        """What is left to run."""
        if self.language == "python":
            return self.text
        return "\n".join(line for line in self._lines() if not CONFIGURING.match(line))

    def _lines(self):
        return self.text.replace("\\\n", "").splitlines() if self.language == "sh" else []


def blocks(markdown):
    """The blocks of a Markdown text, in order."""
    return [Block(m["language"], m["text"], markdown.count("\n", 0, m.start("text")), m["reason"])
            for m in BLOCK.finditer(markdown)]


def unknown_names(line, makefile, presets):
    """The make targets or the CMake preset that a line names and that do not exist."""
    kind = CONFIGURING.match(line)[1]
    words = shlex.split(line, comments=True)
    if kind == "make":
        targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
        return [word for word in words[1:] if "=" not in word and word not in targets]
    known = {preset["name"] for preset in json.loads(presets)[KINDS[kind]]}
    preset = words[words.index("--preset") + 1]
    return [] if preset in known else [preset]
