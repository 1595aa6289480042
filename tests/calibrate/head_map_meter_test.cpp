// The head map of prefill rows, against a plain computation on the rows' weights.

#include "calibrate/head_map_meter.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

constexpr int kTop = 6, kSinks = 2, kRecent = 3;

class HeadMapMeterRun : public ::testing::Test {
 protected:
  HeadMapMeterRun() {
    for (int i = 0; i < 91; ++i) ids.push_back(1 + (i * 53) % 190);
  }
  std::shared_ptr<const Model> model = tiny_model(DType::f32);
  const ModelConfig& config = model->config();
  std::vector<std::int32_t> ids;
};

/// A row's k strongest positions: by falling weight, the smaller position in ties.
std::vector<std::int64_t> top(const float* prob, std::int64_t row) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(row + 1 - kSinks - kRecent));
  std::iota(positions.begin(), positions.end(), kSinks);
  std::stable_sort(positions.begin(), positions.end(), [&](auto a, auto b) { return prob[a] > prob[b]; });
  if (positions.size() > kTop) positions.resize(kTop);
  return positions;
}

TEST_F(HeadMapMeterRun, EqualsAPlainComputation) {
  const std::vector<std::int64_t> rows = {9, 40, 41, 89};
  // Chunks smaller than the prompt: rows come in several events.
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2, .prefill_chunk = 32});
  ObserverWants wants;
  wants.prefill_rows = rows;
  KeepingObserver kept(wants);
  decoder.prefill(ids, &kept);
  HeadMapMeter meter(config, rows, kTop, kSinks, kRecent);
  decoder.prefill(ids, &meter);
  const HeadMap map = meter.head_map();
  EXPECT_EQ(map.k, kTop);
  EXPECT_EQ(map.excluded_sinks, kSinks);
  EXPECT_EQ(map.excluded_recent, kRecent);
  EXPECT_EQ(map.n_heads, config.n_heads);

  // prob(layer, row index, head)
  const auto prob = [&](int layer, std::int64_t row, int head) -> const float* {
    for (const SeenPrefill& seen : kept.prefills) {
      if (seen.layer != layer) continue;
      const auto found = std::find(seen.query_positions.begin(), seen.query_positions.end(), row);
      if (found == seen.query_positions.end()) continue;
      const auto index = found - seen.query_positions.begin();
      return seen.prob.data() + (head * std::ssize(seen.query_positions) + index) * seen.stride;
    }
    return nullptr;
  };
  for (int source = 0; source < config.n_layers; ++source) {
    for (int reader = source + 1; reader < config.n_layers; ++reader) {
      for (int head = 0; head < config.n_heads; ++head) {
        std::vector<double> mass(static_cast<std::size_t>(config.n_heads));
        for (int by = 0; by < config.n_heads; ++by) {
          for (const std::int64_t row : rows) {
            for (const std::int64_t position : top(prob(source, row, by), row))
              mass[static_cast<std::size_t>(by)] += prob(reader, row, head)[position] / 4.0;
          }
        }
        const auto s = static_cast<std::size_t>(source), r = static_cast<std::size_t>(reader),
                   h = static_cast<std::size_t>(head);
        const auto best = static_cast<std::size_t>(map.source_head[s][r][h]);
        EXPECT_NEAR(map.mass[s][r][h], mass[best], 1e-6);
        EXPECT_NEAR(mass[best], *std::max_element(mass.begin(), mass.end()), 1e-9);
      }
    }
  }
}

TEST_F(HeadMapMeterRun, IsOfAllPromptsThatItSaw) {
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  HeadMapMeter once(config, {40, 60}, kTop, kSinks, kRecent), twice(config, {40, 60}, kTop, kSinks, kRecent);
  decoder.prefill(ids, &once);
  decoder.prefill(ids, &twice);
  decoder.prefill(ids, &twice);
  const HeadMap a = once.head_map(), b = twice.head_map();
  EXPECT_EQ(a.source_head, b.source_head);
  for (std::size_t h = 0; h < a.mass[1][3].size(); ++h) EXPECT_FLOAT_EQ(a.mass[1][3][h], b.mass[1][3][h]);
}

}  // namespace
}  // namespace tide::testing
