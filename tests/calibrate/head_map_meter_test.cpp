// The head map of prefill rows, against a plain computation on the rows' weights.

#include "calibrate/head_map_meter.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "calibrate/layer_similarity.h"
#include "calibrate/observer_group.h"
#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

constexpr int kTop = 6, kSinks = 2, kRecent = 3;

HeadMapPlan plan_at(std::vector<std::int64_t> rows) {
  return {.rows = std::move(rows), .ks = {kTop}, .sinks = kSinks, .recent = kRecent};
}

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
  HeadMapMeter meter(config, plan_at(rows));
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

TEST_F(HeadMapMeterRun, OnePassMakesTheMapOfEveryK) {
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  HeadMapPlan plan = plan_at({9, 40, 60});
  plan.ks = {2, kTop, 30};  // 30: more than row 9 has
  HeadMapMeter together(config, plan);
  decoder.prefill(ids, &together);
  for (std::size_t i = 0; i < plan.ks.size(); ++i) {
    HeadMapPlan alone_plan = plan;
    alone_plan.ks = {plan.ks[i]};
    HeadMapMeter alone(config, alone_plan);
    decoder.prefill(ids, &alone);
    const HeadMap a = together.head_map(i), b = alone.head_map();
    EXPECT_EQ(a.k, plan.ks[i]);
    EXPECT_EQ(a.source_head, b.source_head);
    EXPECT_EQ(a.mass, b.mass);
    EXPECT_EQ(a.evidence, b.evidence);
    if (i > 0) {
      EXPECT_GT(a.mass[1][3][0], together.head_map(i - 1).mass[1][3][0]);
    }
  }
}

TEST_F(HeadMapMeterRun, AHeadHoldsMostOnItsOwnSet) {
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  for (const char* unit : {"query_head", "kv_head"}) {
    HeadMapPlan plan = plan_at({9, 40, 60});
    plan.unit = unit;
    HeadMapMeter meter(config, plan);
    decoder.prefill(ids, &meter);
    const HeadMap map = meter.head_map();
    const auto own = nlohmann::json::parse(map.evidence)["own_mass"].get<std::vector<std::vector<double>>>();
    ASSERT_EQ(std::ssize(own), config.n_layers);
    for (std::size_t source = 0; source < own.size(); ++source) {
      for (std::size_t reader = source + 1; reader < own.size(); ++reader) {
        for (std::size_t head = 0; head < own[reader].size(); ++head) {
          EXPECT_LE(map.mass[source][reader][head], own[reader][head] + 1e-6);
          EXPECT_GT(map.mass[source][reader][head], 0);
        }
      }
    }
  }
}

TEST_F(HeadMapMeterRun, GroupsChooseByTheirHeadsMeanWeight) {
  const std::vector<std::int64_t> rows = {40, 41, 60};
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  ObserverWants wants;
  wants.prefill_rows = rows;
  KeepingObserver kept(wants);
  decoder.prefill(ids, &kept);
  HeadMapPlan plan = plan_at(rows);
  plan.unit = "kv_head";
  HeadMapMeter meter(config, plan);
  decoder.prefill(ids, &meter);
  const HeadMap map = meter.head_map();
  EXPECT_EQ(map.unit, "kv_head");
  ASSERT_EQ(map.n_heads, config.n_kv_heads);
  ASSERT_GT(config.n_kv_heads, 1);
  const auto mean_weights = [&](int layer, std::size_t row, int group) {
    const SeenPrefill& seen = kept.prefills[static_cast<std::size_t>(layer)];
    std::vector<float> mean(static_cast<std::size_t>(seen.stride));
    for (int i = 0; i < config.group_size(); ++i) {
      const std::int64_t head = group * config.group_size() + i;
      const float* prob =
          seen.prob.data() + (head * std::ssize(rows) + static_cast<std::int64_t>(row)) * seen.stride;
      for (std::size_t p = 0; p < mean.size(); ++p)
        mean[p] += prob[p] / static_cast<float>(config.group_size());
    }
    return mean;
  };
  const int source = 1, reader = 3;
  for (int group = 0; group < config.n_kv_heads; ++group) {
    std::vector<double> mass(static_cast<std::size_t>(config.n_kv_heads));
    for (int by = 0; by < config.n_kv_heads; ++by) {
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const auto chosen = mean_weights(source, row, by), read = mean_weights(reader, row, group);
        for (const std::int64_t position : top(chosen.data(), rows[row]))
          mass[static_cast<std::size_t>(by)] += read[static_cast<std::size_t>(position)] / 3.0;
      }
    }
    const auto best =
        static_cast<std::size_t>(map.source_head[source][reader][static_cast<std::size_t>(group)]);
    EXPECT_NEAR(map.mass[source][reader][static_cast<std::size_t>(group)], mass[best], 1e-6);
    EXPECT_NEAR(mass[best], *std::max_element(mass.begin(), mass.end()), 1e-7);
  }
}

TEST_F(HeadMapMeterRun, LooksAtEachPromptsOwnRows) {
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  HeadMapMeter apart(config, plan_at({})), at_once(config, plan_at({40, 60}));
  for (const std::int64_t row : {40, 60}) {
    apart.look_at({row});
    decoder.prefill(ids, &apart);
  }
  decoder.prefill(ids, &at_once);
  EXPECT_EQ(apart.head_map().source_head, at_once.head_map().source_head);
  EXPECT_NEAR(apart.head_map().mass[1][3][0], at_once.head_map().mass[1][3][0], 1e-6);
}

TEST_F(HeadMapMeterRun, SeesTheSameBesideAnotherObserver) {
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  HeadMapMeter alone(config, plan_at({40, 60})), beside(config, plan_at({40, 60}));
  LayerSimilarity similarity(config, {.k = kTop, .rows = {40, 60}}), similarity_alone = similarity;
  PrefillObservers both({&beside, &similarity});
  decoder.prefill(ids, &alone);
  decoder.prefill(ids, &similarity_alone);
  decoder.prefill(ids, &both);
  similarity.end_prompt();
  similarity_alone.end_prompt();
  EXPECT_EQ(alone.head_map().mass, beside.head_map().mass);
  EXPECT_EQ(similarity.importance(), similarity_alone.importance());
  EXPECT_EQ(similarity.similarity(similarity.head_map()),
            similarity_alone.similarity(similarity_alone.head_map()));
}

TEST_F(HeadMapMeterRun, IsOfAllPromptsThatItSaw) {
  Decoder decoder(model, {.kv_dtype = DType::f32, .n_threads = 2});
  HeadMapMeter once(config, plan_at({40, 60})), twice(config, plan_at({40, 60}));
  decoder.prefill(ids, &once);
  decoder.prefill(ids, &twice);
  decoder.prefill(ids, &twice);
  const HeadMap a = once.head_map(), b = twice.head_map();
  EXPECT_EQ(a.source_head, b.source_head);
  for (std::size_t h = 0; h < a.mass[1][3].size(); ++h) EXPECT_FLOAT_EQ(a.mass[1][3][h], b.mass[1][3][h]);
}

}  // namespace
}  // namespace tide::testing
