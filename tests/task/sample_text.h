#pragma once
// Running text for tests: numbered sentences of uneven length.

#include <string>

namespace tide::testing {

/// `count` sentences such as "The lamp of the house burned and and the door stood open." without digits.
inline std::string sentences(int count) {
  const char* kNouns[] = {"lamp", "river", "orchard", "stone", "window", "shepherd", "boat"};
  const char* kEnds[] = {".", "?", "!"};
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += std::string("The ") + kNouns[i % 7] + " of the " + kNouns[(i / 7) % 7];
    for (int j = 0; j < i % 5; ++j) text += std::string(" and the ") + kNouns[(i + j) % 7];
    text += std::string(" stood still") + kEnds[i % 3] + (i % 4 == 3 ? "\n" : " ");
  }
  return text;
}

}  // namespace tide::testing
