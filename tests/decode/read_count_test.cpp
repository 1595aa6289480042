// Rows and bytes read, against a union counted by brute force.

#include "decode/read_count.h"

#include <gmock/gmock.h>

#include <random>
#include <set>

#include "tests/support/decode_helpers.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

std::vector<std::int32_t> brute_force(const PositionSets& sets, int n_kv_heads) {
  std::vector<std::int32_t> rows;
  const std::size_t group = sets.set_of_head.size() / static_cast<std::size_t>(n_kv_heads);
  for (std::size_t kv_head = 0; kv_head < static_cast<std::size_t>(n_kv_heads); ++kv_head) {
    std::set<std::int32_t> read;
    for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      const auto set = static_cast<std::size_t>(sets.set_of_head[head]);
      const auto begin = sets.position.begin() + static_cast<std::ptrdiff_t>(set) * sets.width;
      read.insert(begin, begin + sets.count[set]);
    }
    rows.push_back(static_cast<std::int32_t>(read.size()));
  }
  return rows;
}

TEST(ReadCounter, EqualsTheUnionOfEachGroupsSets) {
  std::mt19937 random(11);
  ReadCounter counter;
  for (int round = 0; round < 200; ++round) {
    const int kv_len = 1 + static_cast<int>(random() % 97), n_kv_heads = 1 + static_cast<int>(random() % 3);
    PositionSets sets;
    sets.n_sets = 1 + static_cast<int>(random() % 7);
    sets.width = 1 + static_cast<int>(random() % static_cast<unsigned>(kv_len));
    for (int set = 0; set < sets.n_sets; ++set) {
      std::vector<std::int32_t> all(static_cast<std::size_t>(kv_len));
      std::iota(all.begin(), all.end(), 0);
      std::shuffle(all.begin(), all.end(), random);
      sets.count.push_back(1 + static_cast<int>(random() % static_cast<unsigned>(sets.width)));
      all.resize(static_cast<std::size_t>(sets.width));
      std::fill(all.begin() + sets.count.back(), all.end(), -1);
      sets.position.insert(sets.position.end(), all.begin(), all.end());
    }
    for (int head = 0; head < 4 * n_kv_heads; ++head) {
      sets.set_of_head.push_back(static_cast<int>(random() % static_cast<unsigned>(sets.n_sets)));
    }
    std::vector<std::int32_t> rows(static_cast<std::size_t>(n_kv_heads));
    counter.count(sets, n_kv_heads, kv_len, rows);
    ASSERT_EQ(rows, brute_force(sets, n_kv_heads)) << "round " << round;
  }
}

TEST(RowsRead, OfEveryLayerEqualTheUnionOfWhatItsHeadsRead) {
  const ModelConfig config = tiny_config();
  for (const char* spec : {"full", "tidal:budget=13,select=1+3", "tidal:budget=13,select=2,sharing=group",
                           "oracle:budget=13", "random:budget=13,sharing=all", "window:budget=13"}) {
    Decoder decoder(tiny_model(DType::f32), {.kv_dtype = DType::f16, .n_threads = 2});
    KeepingObserver observer;
    const auto prompt = decoder.prefill(random_ids(60, 1));
    const auto sequence = decoder.fork(prompt, policy_of(spec), 4, 0, &observer);
    Sequence* row = sequence.get();
    std::int32_t fed = prompt->ids.back();
    for (int step = 0; step < 4; ++step, fed = argmax(row->logits())) decoder.step({&row, 1}, {&fed, 1});
    std::int64_t total = 0;
    for (const SeenLayer& seen : observer.layers) {
      const auto expected = seen.read ? brute_force(*seen.read, config.n_kv_heads)
                                      : std::vector<std::int32_t>(2, static_cast<std::int32_t>(seen.kv_len));
      ASSERT_EQ(seen.rows_read, expected) << spec << ", layer " << seen.layer << ", step " << seen.step;
      const std::int64_t rows = expected[0] + expected[1];
      EXPECT_EQ(seen.bytes_read, rows * 2 * config.head_dim * 2) << spec;  // K and V, two bytes a value
      total += rows;
    }
    EXPECT_EQ(row->rows_read(), total) << spec;
    EXPECT_EQ(row->bytes_read(), total * 2 * config.head_dim * 2) << spec;
  }
}

}  // namespace
}  // namespace tide::testing
