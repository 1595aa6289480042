#pragma once
// Expectations about refused input.

#include <gmock/gmock.h>

#include <string>

#include "base/error.h"

namespace tide::testing {

/// `call` throws InputError whose message, of one line, holds `part`.
template <typename Call>
void expect_input_error(const Call& call, const std::string& part) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown, expected an InputError with: " << part;
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(part));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("\n")));
  }
}

}  // namespace tide::testing
