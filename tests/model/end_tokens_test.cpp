// Tokens at which a text ends: one by name, and others beside it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/tokenizer.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TokenizerData data_with(std::int32_t eos_id, std::vector<std::int32_t> more) {
  TokenizerData data;
  data.tokens = {"a", "b", "c", "d"};
  data.is_special.assign(4, false);
  data.split = "gpt2";
  data.eos_id = eos_id;
  data.more_eos_ids = std::move(more);
  return data;
}

TEST(EndTokens, EndATextEachOfThem) {
  const Tokenizer tokenizer(data_with(2, {0}));
  EXPECT_TRUE(tokenizer.ends(2));
  EXPECT_TRUE(tokenizer.ends(0));
  EXPECT_FALSE(tokenizer.ends(1));
  EXPECT_FALSE(tokenizer.ends(-1));
}

TEST(EndTokens, WithoutAnyNothingEnds) {
  const Tokenizer tokenizer(data_with(-1, {}));
  for (int id = -1; id < 4; ++id) EXPECT_FALSE(tokenizer.ends(id));
}

TEST(EndTokens, BeyondTheVocabularyAreRefused) {
  EXPECT_THAT(message_of<InputError>([] { Tokenizer(data_with(2, {4})); }),
              HasSubstr("eos id 4: below 4 expected"));
}

class EndTokensOfAFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    write("tokenizer.json",
          {{"added_tokens", json::array()},
           {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
           {"model",
            {{"type", "BPE"},
             {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"d", 3}}},
             {"merges", json::array()}}}});
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, const json& value) const { std::ofstream(folder_ / name) << value.dump(); }
  TokenizerData read() const { return read_hf_tokenizer(folder_, 4); }

  fs::path folder_ =
      fs::path(::testing::TempDir()) /
      ("tide_end_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(EndTokensOfAFolder, AreTheWholeListOfTheFirstFileThatHasOne) {
  write("config.json", {{"eos_token_id", {1, 2}}});
  EXPECT_EQ(read().eos_id, 1);
  EXPECT_THAT(read().more_eos_ids, ElementsAre(2));
  write("tokenizer_config.json", {{"eos_token", "c"}});
  EXPECT_EQ(read().eos_id, 2);  // the one that is named comes first
  EXPECT_THAT(read().more_eos_ids, ElementsAre(1));
  write("generation_config.json", {{"eos_token_id", {3, 0, 1}}});
  EXPECT_EQ(read().eos_id, 3);
  EXPECT_THAT(read().more_eos_ids, ElementsAre(0, 1));
  write("generation_config.json", {{"eos_token_id", 3}});
  EXPECT_EQ(read().eos_id, 3);
  EXPECT_THAT(read().more_eos_ids, IsEmpty());
}

TEST_F(EndTokensOfAFolder, ThatAreNoIdsAreRefused) {
  for (const json& ids : {json{1, 4}, json{1, -1}, json{1, "c"}, json{1.5}, json{json::array({1})}}) {
    write("generation_config.json", {{"eos_token_id", ids}});
    EXPECT_THAT(
        message_of<InputError>([&] { read(); }),
        HasSubstr("generation_config.json: eos_token_id is " + ids.dump() + ", expected ids of 0 to 3"));
  }
}

}  // namespace
}  // namespace tide
