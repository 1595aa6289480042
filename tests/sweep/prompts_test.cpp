// Prompts that are kept from sweep to sweep.

#include "sweep/prompts.h"

#include <gmock/gmock.h>

#include <map>

#include "base/file.h"
#include "base/text.h"
#include "sweep/csv.h"
#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

class KeptPrompts : public ::testing::Test {
 protected:
  /// A column of every row, by sample and policy.
  std::map<std::string, std::string> sweep(const char* name, const std::vector<std::string>& specs,
                                           const char* column, PromptKeeper* keeper) {
    const auto path = fresh_path(name);
    {
      ResultsFile results(path);
      SweepHooks hooks;
      hooks.keeper = keeper;
      EXPECT_TRUE(run_sweep(decoder, tiny_plan(*model, specs, 2, 8), results, hooks).complete());
    }
    const auto& columns = result_columns();
    const auto at = std::find(columns.begin(), columns.end(), column) - columns.begin();
    std::map<std::string, std::string> values;
    const auto lines = split(read_text(path), '\n');
    for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
      const auto fields = parse_csv_line(lines[i]);
      values[fields[2] + "/" + fields[3] + "/" + fields[5]] = fields[static_cast<std::size_t>(at)];
    }
    return values;
  }
  std::shared_ptr<const Model> model = tiny_model(DType::f32);
  Decoder decoder{model, {.kv_dtype = DType::f32, .n_threads = 2}};
};

const std::vector<std::string> kSpecs = {"full", "tidal:budget=32,select=2"};

TEST_F(KeptPrompts, ArePassedOnce) {
  PromptKeeper keeper(std::size_t{1} << 30);
  const auto first = sweep("kept_first.csv", kSpecs, "prefill_ms", &keeper);
  const auto second = sweep("kept_second.csv", kSpecs, "prefill_ms", &keeper);
  ASSERT_EQ(first.size(), 8u);
  EXPECT_EQ(first, second) << "times of one and the same pass";
  EXPECT_NE(first, sweep("kept_not.csv", kSpecs, "prefill_ms", nullptr));
}

TEST_F(KeptPrompts, GiveTheSameRows) {
  PromptKeeper keeper(std::size_t{1} << 30);
  sweep("kept_before.csv", {"full"}, "output", &keeper);
  for (const char* column : {"output", "answer_logprob", "rows_read"}) {
    EXPECT_EQ(sweep("kept_with.csv", kSpecs, column, &keeper),
              sweep("kept_without.csv", kSpecs, column, nullptr))
        << column;
  }
}

TEST_F(KeptPrompts, AreThoseForWhichThereIsRoom) {
  const auto prompt_of = [&](int seed) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(1 + (i * 53 + seed) % 190);
    return decoder.prefill(ids);
  };
  const auto a = prompt_of(1), b = prompt_of(2);
  PromptKeeper keeper(a->rows->bytes() + b->rows->bytes() - 1);
  keeper.keep(a);
  keeper.keep(b);
  EXPECT_EQ(keeper.find(a->ids), a);
  EXPECT_TRUE(keeper.holds(a));
  EXPECT_EQ(keeper.find(b->ids), nullptr);
  EXPECT_FALSE(keeper.holds(b));
  EXPECT_FALSE(keeper.holds(prompt_of(1))) << "the same ids, passed again";
}

TEST_F(KeptPrompts, AreNotForPoliciesThatAskMoreOfThePass) {
  PromptKeeper keeper(std::size_t{1} << 30);
  sweep("kept_plain.csv", {"full"}, "output", &keeper);
  const std::vector<std::string> asking = {"h2o:budget=64", "snapkv:budget=64"};
  EXPECT_EQ(sweep("kept_asking.csv", asking, "output", &keeper),
            sweep("kept_asking_alone.csv", asking, "output", nullptr));
}

}  // namespace
}  // namespace tide::testing
