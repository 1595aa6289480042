#pragma once
// A small tokenizer.json whose fields a test changes before it is read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "model/tokenizer.h"
#include "tests/model/gguf_builder.h"

namespace tide::testing {

namespace fs = std::filesystem;
using nlohmann::json;

inline constexpr int kVocabSize = 8;

inline const json kByteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};

/// Tokens a, b, c, ab, abc; "<e>" added; id 6 and 7 are padding of the model's vocabulary.
inline json sound_tokenizer() {
  return {{"added_tokens", {{{"id", 5}, {"content", "<e>"}, {"special", true}, {"lstrip", false}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", kByteLevel},
          {"post_processor", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"abc", 4}}},
            {"merges", {"a b", "ab c"}}}}};
}

class TokenizerHf : public ::testing::Test {
 protected:
  TokenizerHf() { fs::create_directories(folder_); }
  ~TokenizerHf() override { fs::remove_all(folder_); }

  void write(const char* name, const json& value) { std::ofstream(folder_ / name) << value.dump(); }
  TokenizerData read() {
    write("tokenizer.json", tokenizer_);
    return read_hf_tokenizer(folder_, kVocabSize);
  }
  std::string refusal() {
    const auto message = message_of<InputError>([&] { const Tokenizer tokenizer(read()); });
    EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("\n")));
    return message;
  }
  json& model() { return tokenizer_["model"]; }

  json tokenizer_ = sound_tokenizer();
  const ::testing::TestInfo& info_ = *::testing::UnitTest::GetInstance()->current_test_info();
  fs::path folder_ =
      fs::path(::testing::TempDir()) / fmt::format("tide_{}_{}", info_.test_suite_name(), info_.name());
};

}  // namespace tide::testing
