// The installed default model: that it loads, speaks, and keeps to its policy.

#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/support/decode_helpers.h"

namespace tide::testing {
namespace {

std::shared_ptr<const Model> default_model() {
  const char* named = std::getenv("TIDEGAUGE_TEST_MODEL");
  const std::string path = named != nullptr ? named : TIDEGAUGE_TEST_MODEL;
  return path.empty() ? nullptr : load_model(path, WeightType::bf16);
}

TEST(DefaultModel, AnswersAndAgreesWithItselfUnderAGenerousBudget) {
  const auto model = default_model();
  if (model == nullptr) GTEST_SKIP() << "no default model is installed";
  Decoder decoder(model, {.n_threads = 2});
  const ChatMessage message{"user", "What is the capital of France?"};
  const auto prompt = decoder.prefill(model->tokenizer().encode_chat({&message, 1}));
  const PolicyContext context{&model->config(), ""};
  const Decoded full = decode(decoder, prompt, make_policy("full", context), 12);
  EXPECT_THAT(model->tokenizer().decode(full.ids), ::testing::HasSubstr("Paris"));
  const Decoded sparse = decode(decoder, prompt, make_policy("tidal:budget=512", context), 12);
  EXPECT_EQ(sparse.ids, full.ids);
}

}  // namespace
}  // namespace tide::testing
