// tidal with a head map: who reads whose set, and maps that do not fit.

#include "base/head_map.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <numeric>

#include "tests/support/decode_helpers.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace tide::testing {
namespace {

class MappedTidal : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  /// A map whose every entry tells its source and destination apart.
  HeadMap map_of(int n_heads, const std::string& unit) {
    const int n_layers = tiny_config().n_layers;
    HeadMap map;
    map.model_sha256 = kTinySha;
    map.unit = unit;
    map.n_layers = n_layers;
    map.n_heads = n_heads;
    map.source_head.resize(static_cast<std::size_t>(n_layers));
    for (int src = 0; src < n_layers; ++src) {
      auto& of_source = map.source_head[static_cast<std::size_t>(src)];
      of_source.resize(static_cast<std::size_t>(n_layers));
      for (int dst = src + 1; dst < n_layers; ++dst) {
        for (int head = 0; head < n_heads; ++head) {
          of_source[static_cast<std::size_t>(dst)].push_back((5 * head + 3 * src + dst) % n_heads);
        }
      }
    }
    map.mass.resize(static_cast<std::size_t>(n_layers));
    for (std::size_t src = 0; src < map.mass.size(); ++src) {
      for (const auto& heads : map.source_head[src])
        map.mass[src].push_back(std::vector<float>(heads.size(), 0.5f));
    }
    return map;
  }

  std::string save(const HeadMap& map) {
    write_head_map(path_, map);
    return "map=@" + path_.string();
  }

  std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      ("map_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".json");
};

TEST_F(MappedTidal, HeadsOfASparseLayerReadTheMappedSetsOfTheLastSelection) {
  const HeadMap map = map_of(6, "query_head");
  Decoder decoder(tiny_model(DType::f32), {.kv_dtype = DType::f32, .n_threads = 2});
  const auto policy = policy_of("tidal:budget=9,select=1+3," + save(map));
  EXPECT_EQ(policy->map(), path_.string());
  KeepingObserver observer;
  decode(decoder, decoder.prefill(random_ids(60, 1)), policy, 3, &observer);
  SeenLayer selection;
  int compared = 0;
  for (const SeenLayer& seen : observer.layers) {
    if (seen.chosen) {
      selection = seen;
      EXPECT_THAT(seen.chosen->set_of_head, ::testing::ElementsAre(0, 1, 2, 3, 4, 5));
    }
    if (!seen.read) continue;
    for (int head = 0; head < 6; ++head) {
      const int source =
          map.source_head[static_cast<std::size_t>(selection.layer)][static_cast<std::size_t>(seen.layer)]
                         [static_cast<std::size_t>(head)];
      const auto begin = selection.chosen->position.begin() + source * 9;
      EXPECT_EQ(seen.positions_of(head), std::vector<std::int32_t>(begin, begin + 9));
      ++compared;
    }
  }
  EXPECT_EQ(compared, 3 * 2 * 6);
}

TEST_F(MappedTidal, SharedByGroupsMapsKvHeads) {
  const HeadMap map = map_of(2, "kv_head");
  Decoder decoder(tiny_model(DType::f32), {.kv_dtype = DType::f32, .n_threads = 2});
  KeepingObserver observer;
  decode(decoder, decoder.prefill(random_ids(60, 1)),
         policy_of("tidal:budget=9,select=1,sharing=group," + save(map)), 1, &observer);
  for (const SeenLayer& seen : observer.layers) {
    if (!seen.read) continue;
    const auto& heads = map.source_head[1][static_cast<std::size_t>(seen.layer)];
    EXPECT_THAT(seen.read->set_of_head,
                ::testing::ElementsAre(heads[0], heads[0], heads[0], heads[1], heads[1], heads[1]));
  }
}

TEST_F(MappedTidal, AnAnchorThatReadsItsOwnChoiceIsASourceToo) {
  const HeadMap map = map_of(2, "kv_head");
  Decoder decoder(tiny_model(DType::f32), {.kv_dtype = DType::f32, .n_threads = 2});
  KeepingObserver observer;
  decode(decoder, decoder.prefill(random_ids(60, 1)),
         policy_of("kascade:budget=9,placement=SE.E.," + save(map)), 2, &observer);
  std::size_t anchor = 0;
  for (const SeenLayer& seen : observer.layers) {
    if (seen.role != Role::sparse) {
      anchor = static_cast<std::size_t>(seen.layer);
      continue;
    }
    const auto& heads = map.source_head[anchor][static_cast<std::size_t>(seen.layer)];
    EXPECT_THAT(seen.read->set_of_head,
                ::testing::ElementsAre(heads[0], heads[0], heads[0], heads[1], heads[1], heads[1]))
        << "layer " << seen.layer;
  }
}

TEST_F(MappedTidal, AnIdentityMapChangesNothing) {
  HeadMap map = map_of(6, "query_head");
  for (auto& source : map.source_head) {
    for (auto& heads : source) std::iota(heads.begin(), heads.end(), 0);
  }
  Decoder decoder(tiny_model(DType::f32), {.n_threads = 2});
  const auto prompt = decoder.prefill(random_ids(60, 1));
  EXPECT_EQ(decode(decoder, prompt, policy_of("tidal:budget=9,select=1+3," + save(map)), 4).logits,
            decode(decoder, prompt, policy_of("tidal:budget=9,select=1+3"), 4).logits);
}

TEST_F(MappedTidal, RefusesAMapOfAnotherModel) {
  HeadMap map = map_of(6, "query_head");
  map.model_sha256 = "fedcba9876543210";
  const std::string key = save(map);
  expect_input_error([&] { policy_of("tidal:" + key); }, "was made for the model with SHA-256 fedcba987654");
}

TEST_F(MappedTidal, RefusesAMapOfAnotherUnit) {
  const std::string key = save(map_of(2, "kv_head"));
  expect_input_error([&] { policy_of("tidal:" + key); }, "maps kv_head, sharing=head needs query_head");
}

TEST_F(MappedTidal, RefusesAMapOfAnotherShape) {
  const std::string key = save(map_of(4, "query_head"));
  expect_input_error([&] { policy_of("tidal:" + key); }, "is for 5 layers of 4 heads, the model has 5 of 6");
}

TEST_F(MappedTidal, RefusesAMapWhenAllHeadsShareOneSet) {
  const std::string key = save(map_of(6, "query_head"));
  expect_input_error([&] { policy_of("tidal:sharing=all," + key); },
                     "sharing=all has one set for all heads and takes none");
}

TEST_F(MappedTidal, RefusesAFileThatIsNotThere) {
  expect_input_error([] { policy_of("tidal:map=@/nowhere/map.json"); }, "/nowhere/map.json");
}

}  // namespace
}  // namespace tide::testing
