// The prompt's pass against the decode step, chunk against chunk, and what it refuses.

#include <gmock/gmock.h>

#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr std::int64_t kPromptLen = 150;

Decoder decoder_with_chunk(int chunk, DType dtype = DType::f32) {
  return Decoder(tiny_model(dtype), {.kv_dtype = dtype, .n_threads = 2, .prefill_chunk = chunk});
}

TEST(Prefill, ChunksAgreeWithOnePass) {
  const auto ids = random_ids(kPromptLen, 1);
  Decoder whole = decoder_with_chunk(512);
  const auto expected = decode(whole, whole.prefill(ids), policy_of("full"), 4).logits;
  for (const int chunk : {1, 7, 64, 149, 150}) {
    Decoder decoder = decoder_with_chunk(chunk);
    const auto logits = decode(decoder, decoder.prefill(ids), policy_of("full"), 4).logits;
    for (std::size_t step = 0; step < 4; ++step) {
      EXPECT_THAT(logits[step], Pointwise(FloatNear(1e-3f), expected[step])) << "chunk " << chunk;
    }
  }
}

TEST(Prefill, AgreesWithFeedingThePromptTokenByToken) {
  const auto ids = random_ids(kPromptLen, 2);
  Decoder decoder = decoder_with_chunk(64);
  const auto expected = decode(decoder, decoder.prefill(ids), policy_of("full"), 1).logits[0];
  const auto first = decoder.prefill(std::span(ids).first(1));
  const std::vector<std::int32_t> rest(ids.begin() + 1, ids.end());
  const auto stepped = decode(decoder, first, policy_of("full"), kPromptLen, nullptr, rest).logits.back();
  EXPECT_THAT(stepped, Pointwise(FloatNear(1e-3f), expected));
}

TEST(Prefill, InBf16StaysNearTheDecodeStep) {
  const auto ids = random_ids(kPromptLen, 2);
  Decoder decoder = decoder_with_chunk(64, DType::bf16);
  const auto expected = decode(decoder, decoder.prefill(ids), policy_of("full"), 1).logits[0];
  const auto first = decoder.prefill(std::span(ids).first(1));
  const auto stepped =
      decode(decoder, first, policy_of("full"), kPromptLen, nullptr, {ids.begin() + 1, ids.end()});
  EXPECT_THAT(stepped.logits.back(), Pointwise(FloatNear(0.3f), expected));
}

TEST(Prefill, InEightBitsStaysNearTheDecodeStep) {
  const auto ids = random_ids(kPromptLen, 2);
  Decoder decoder(tiny_model(WeightType::q8_0),
                  {.kv_dtype = DType::f32, .n_threads = 2, .prefill_chunk = 64});
  const auto expected = decode(decoder, decoder.prefill(ids), policy_of("full"), 1).logits[0];
  const auto first = decoder.prefill(std::span(ids).first(1));
  const auto stepped =
      decode(decoder, first, policy_of("full"), kPromptLen, nullptr, {ids.begin() + 1, ids.end()});
  EXPECT_THAT(stepped.logits.back(), Pointwise(FloatNear(0.3f), expected));
}

TEST(Prefill, RowsAreTheWeightsThatADecodeStepSees) {
  const auto ids = random_ids(kPromptLen, 3);
  ObserverWants wants;
  wants.prob = true;
  wants.prefill_rows = {0, 6, 7, 100, 148};
  KeepingObserver observer(wants), stepper(wants);
  Decoder decoder = decoder_with_chunk(7);
  decoder.prefill(ids, &observer);
  decode(decoder, decoder.prefill(std::span(ids).first(1)), policy_of("full"), kPromptLen, &stepper,
         {ids.begin() + 1, ids.end()});
  const auto n_layers = static_cast<std::size_t>(tiny_config().n_layers);
  std::size_t compared = 0;
  for (const SeenPrefill& seen : observer.prefills) {
    EXPECT_EQ(seen.stride, kPromptLen);
    for (std::size_t i = 0; i < seen.query_positions.size(); ++i, ++compared) {
      const auto position = static_cast<std::size_t>(seen.query_positions[i]);
      const SeenLayer& step = stepper.layers[position * n_layers + static_cast<std::size_t>(seen.layer)];
      for (std::size_t head = 0; head < 6; ++head) {
        std::vector<float> expected(static_cast<std::size_t>(kPromptLen), 0.0f);
        std::copy_n(step.prob.begin() + static_cast<std::ptrdiff_t>(head) * step.prob_stride, position + 1,
                    expected.begin());
        const auto row = seen.prob.begin() +
                         static_cast<std::ptrdiff_t>((head * seen.query_positions.size() + i)) * seen.stride;
        ASSERT_THAT(std::vector<float>(row, row + seen.stride), Pointwise(FloatNear(1e-4f), expected))
            << "layer " << seen.layer << " position " << position << " head " << head;
      }
    }
  }
  EXPECT_EQ(compared, 5 * n_layers);
}

TEST(Prefill, TellsItsProgress) {
  Decoder decoder = decoder_with_chunk(64);
  std::vector<std::int64_t> done;
  decoder.prefill(random_ids(kPromptLen, 1), nullptr,
                  [&](std::int64_t positions) { done.push_back(positions); });
  EXPECT_THAT(done, ElementsAre(64, 128, 149));
}

TEST(Prefill, OfOneTokenLeavesTheCacheEmpty) {
  Decoder decoder = decoder_with_chunk(64);
  const auto prompt = decoder.prefill(std::vector<std::int32_t>{42});
  EXPECT_EQ(prompt->rows->count(), 0);
  EXPECT_EQ(decode(decoder, prompt, policy_of("tidal:budget=4,select=2"), 3).ids.size(), 3u);
}

TEST(Prefill, RefusesAPromptWithoutTokens) {
  Decoder decoder = decoder_with_chunk(64);
  expect_input_error([&] { decoder.prefill({}); }, "no tokens");
}

TEST(Prefill, RefusesIdsBeyondTheVocabulary) {
  Decoder decoder = decoder_with_chunk(64);
  expect_input_error(
      [&] {
        decoder.prefill(std::vector<std::int32_t>{1, 300, 2});
      },
      "token 1 is 300, expected 0 to 299");
  expect_input_error([&] { decoder.prefill(std::vector<std::int32_t>{-1}); }, "token 0 is -1");
}

TEST(Prefill, RefusesAPromptLongerThanTheModelsPositions) {
  Decoder decoder = decoder_with_chunk(512);
  EXPECT_EQ(decoder.prefill(random_ids(512, 1))->rows->count(), 511);
  expect_input_error([&] { decoder.prefill(random_ids(513, 1)); }, "513 tokens, the model has 512 positions");
}

TEST(Fork, RefusesStepsBeyondTheModelsPositions) {
  Decoder decoder = decoder_with_chunk(512);
  const auto prompt = decoder.prefill(random_ids(510, 1));
  EXPECT_EQ(decode(decoder, prompt, policy_of("full"), 3).ids.size(), 3u);
  expect_input_error([&] { decoder.fork(prompt, policy_of("full"), 4); },
                     "need 513 positions, the model has 512");
  expect_input_error([&] { decoder.fork(prompt, policy_of("full"), 0); }, "0 is below 1");
}

TEST(Step, RefusesToGoBeyondTheModelsPositions) {
  Decoder decoder = decoder_with_chunk(512);
  const auto prompt = decoder.prefill(random_ids(512, 1));
  const auto sequence = decoder.fork(prompt, policy_of("full"), 1);
  Sequence* row = sequence.get();
  std::int32_t fed = prompt->ids.back();
  decoder.step({&row, 1}, {&fed, 1});
  expect_input_error([&] { decoder.step({&row, 1}, {&fed, 1}); }, "position 512 is beyond");
}

TEST(DecoderOptions, AreChecked) {
  const auto model = tiny_model(DType::f32);
  expect_input_error([&] { Decoder(model, {.n_threads = -1}); }, "threads: -1");
  expect_input_error([&] { Decoder(model, {.prefill_chunk = 0}); }, "prefill chunk: 0");
}

}  // namespace
}  // namespace tide::testing
