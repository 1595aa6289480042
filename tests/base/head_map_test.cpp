#include "base/head_map.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/expect_error.h"

namespace tide::testing {
namespace {

using nlohmann::json;

HeadMap small_map() {
  HeadMap map;
  map.model_sha256 = "aa";
  map.k = 32;
  map.excluded_sinks = 2;
  map.excluded_recent = 8;
  map.made_from = "two recordings";
  map.n_layers = 3;
  map.n_heads = 2;
  map.source_head = {{{}, {1, 0}, {0, 0}}, {{}, {}, {1, 1}}, {{}, {}, {}}};
  map.mass = {{{}, {.5f, .25f}, {1, .75f}}, {{}, {}, {.5f, .5f}}, {{}, {}, {}}};
  return map;
}

class HeadMapFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  /// A sound map's JSON with one thing changed.
  template <typename Change>
  void write_changed(const Change& change) {
    write_head_map(path_, small_map());
    json root = json::parse(read_text(path_));
    change(root);
    write_text_atomically(path_, root.dump());
  }
  template <typename Change>
  void expect_refused(const Change& change, const std::string& part) {
    write_changed(change);
    expect_input_error([&] { read_head_map(path_); }, part);
  }

  std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      ("headmap_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".json");
};

TEST_F(HeadMapFile, SurvivesTheRoundTrip) {
  const HeadMap map = small_map();
  write_head_map(path_, map);
  const HeadMap read = read_head_map(path_);
  EXPECT_EQ(read.model_sha256, map.model_sha256);
  EXPECT_EQ(read.unit, "query_head");
  EXPECT_EQ(read.k, 32);
  EXPECT_EQ(read.excluded_sinks, 2);
  EXPECT_EQ(read.excluded_recent, 8);
  EXPECT_EQ(read.made_from, map.made_from);
  EXPECT_EQ(read.n_layers, 3);
  EXPECT_EQ(read.n_heads, 2);
  EXPECT_EQ(read.source_head, map.source_head);
  EXPECT_EQ(read.mass, map.mass);
}

TEST_F(HeadMapFile, HasTheKeysOfTheContract) {
  write_head_map(path_, small_map());
  const json root = json::parse(read_text(path_));
  EXPECT_EQ(root["format"], "tidegauge-headmap");
  EXPECT_EQ(root["version"], 1);
  EXPECT_EQ(root["excluded"], json({{"sinks", 2}, {"recent", 8}}));
  EXPECT_EQ(root["source_head"][0][1][0], 1);
}

TEST_F(HeadMapFile, ThatIsNoJsonNamesTheByte) {
  write_text_atomically(path_, "{\"format\": ");
  expect_input_error([&] { read_head_map(path_); }, "not JSON at byte");
}

TEST_F(HeadMapFile, OfAnotherFormatIsRefused) {
  expect_refused([](json& root) { root["format"] = "x"; }, "key 'format' is not tidegauge-headmap");
  expect_refused([](json& root) { root["version"] = 2; }, "version is not 1");
  expect_refused([](json& root) { root = json::array(); }, "key 'format' is missing");
}

TEST_F(HeadMapFile, WithAMissingOrWrongKeyIsRefusedByItsName) {
  for (const char* key : {"model_sha256", "unit", "k", "excluded", "made_from", "source_head", "mass"}) {
    expect_refused([&](json& root) { root.erase(key); }, fmt::format("key '{}' is missing", key));
  }
  expect_refused([](json& root) { root["k"] = "many"; }, "key 'k' has a value of another kind");
  expect_refused([](json& root) { root["unit"] = "head"; }, "unit 'head' is neither");
}

TEST_F(HeadMapFile, OfAWrongShapeIsRefused) {
  expect_refused([](json& root) { root["source_head"][0][2] = {0}; },
                 "source_head[0][2] has 1 heads, expected 2");
  expect_refused([](json& root) { root["source_head"][0].erase(2); }, "must have 3 entries");
  expect_refused([](json& root) { root["mass"].erase(2); }, "mass has 2 layers");
  expect_refused(
      [](json& root) {
        root["source_head"][1][2] = {0, 2};
      },
      "source_head[1][2] names head 2 of 2");
  expect_refused([](json& root) { root["source_head"][1][2] = {-1, 0}; }, "names head -1");
}

}  // namespace
}  // namespace tide::testing
