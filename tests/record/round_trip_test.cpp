// What goes into a Recorder comes out of a RecordingReader.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/float16.h"
#include "record/h5.h"
#include "record/inspect.h"
#include "record/reader.h"
#include "record/recover.h"
#include "record_helpers.h"
#include "synthetic_recording.h"

namespace tide::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

/// A weight as the file holds it.
float rounded(float value) { return half_to_float(float_to_half(value)); }

/// The prob that a layer must hold: full weights, or those of the set scattered over zeros.
std::vector<float> expected_prob(const SyntheticRun& run, int layer, std::int64_t step) {
  std::vector<float> prob = run.full_prob(layer, step);
  const bool sparse = run.role(layer) == Role::sparse;
  if (sparse) {
    const PositionSets sets = run.sets(layer, step);
    const std::vector<float> weights = run.sparse_prob(layer, step);
    std::fill(prob.begin(), prob.end(), 0.0f);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto head = static_cast<std::int64_t>(i) / sets.width;
      prob[static_cast<std::size_t>(head * run.kv_len(step) + sets.position[i])] = weights[i];
    }
  }
  for (float& weight : prob) weight = rounded(weight);
  return prob;
}

void expect_same_maps(const SyntheticRun& run, const RecordingReader& reader) {
  std::vector<float> prob;
  for (const int layer : reader.layers()) {
    for (std::int64_t step = 0; step < reader.info().committed_steps; ++step) {
      reader.read_prob(layer, step, false, prob);
      ASSERT_EQ(prob, expected_prob(run, layer, step)) << "layer " << layer << " step " << step;
    }
  }
}

TEST(Recorder, KeepsEveryMapOfEveryLayerAndStep) {
  for (const Compression compression : {Compression::none, Compression::deflate}) {
    const TempFolder folder;
    SyntheticSpec spec;
    spec.path = folder / "run.h5";
    spec.compression = compression;
    spec.steps = 97;  // more than a chunk of 64 steps, and not a multiple
    write_synthetic(spec);
    const RecordingReader reader(spec.path);
    ASSERT_EQ(reader.info().committed_steps, 97);
    expect_same_maps(SyntheticRun(spec), reader);
  }
}

TEST(Recorder, TellsWhichStepsReusedTheirSets) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.steps = 97;
  spec.cache_from = 70;  // in the second block: the dataset is made late
  write_synthetic(spec);
  const SyntheticRun run(spec);
  const auto expect_the_same = [&](const RecordingReader& reader) {
    for (const int layer : {0, 1, 2}) EXPECT_FALSE(reader.reused(layer)) << "layer " << layer;
    const auto reused = reader.reused(3);
    ASSERT_TRUE(reused);
    ASSERT_EQ(std::ssize(*reused), 97);
    for (std::int64_t step = 0; step < 97; ++step)
      EXPECT_EQ((*reused)[static_cast<std::size_t>(step)], static_cast<int>(run.set_origin(3, step)));
    EXPECT_DOUBLE_EQ(reuse_rate(*reused), 18.0 / 27);
  };
  expect_the_same(RecordingReader(spec.path));
  const Inspection inspection = inspect_recording(spec.path);
  EXPECT_TRUE(inspection.sound()) << inspection.verdict();
  ASSERT_EQ(inspection.reuse_rate.size(), 1u);
  EXPECT_EQ(inspection.reuse_rate[0], std::pair(3, 18.0 / 27));
  recover_recording(spec.path, folder / "copy.h5");
  expect_the_same(RecordingReader(folder / "copy.h5"));
}

TEST(Recorder, KeepsWhereThePromptSaysWhatIsAskedFor) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.evidence = {3, 4, 11};
  write_synthetic(spec);
  EXPECT_EQ(RecordingReader(spec.path).evidence(), spec.evidence);
  EXPECT_TRUE(inspect_recording(spec.path).sound());
  recover_recording(spec.path, folder / "copy.h5");
  EXPECT_EQ(RecordingReader(folder / "copy.h5").evidence(), spec.evidence);
  spec.evidence.clear();
  spec.path = folder / "none.h5";
  write_synthetic(spec);
  EXPECT_TRUE(RecordingReader(spec.path).evidence().empty());
}

TEST(Recorder, OfAMethodWithoutACacheTellsNothingOfReuse) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  write_synthetic(spec);
  for (const int layer : {0, 2, 3}) EXPECT_FALSE(RecordingReader(spec.path).reused(layer));
  EXPECT_TRUE(inspect_recording(spec.path).reuse_rate.empty());
}

/// New memory is filled with rubbish while this lives, so that what is left unwritten shows.
class DirtyMemory {
 public:
  DirtyMemory() { ::mallopt(M_PERTURB, 0x5a); }
  ~DirtyMemory() { ::mallopt(M_PERTURB, 0); }
};

TEST(Recorder, KeepsMapsWiderThanOneChunk) {
  const DirtyMemory dirty;
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.prompt_len = 3020;
  spec.steps = 40;
  spec.max_steps = 6070;  // 9089 positions in three chunks of 3030: rows enter the second inside a block
  spec.compression = Compression::deflate;
  write_synthetic(spec);
  const RecordingReader reader(spec.path);
  EXPECT_EQ(reader.info().max_kv_len, 3059);
  expect_same_maps(SyntheticRun(spec), reader);
  EXPECT_EQ(inspect_recording(spec.path).verdict(), "");
}

TEST(Recorder, FillsTheLastChunkWithZeros) {
  const DirtyMemory dirty;
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.steps = 3;
  spec.max_steps = 10;
  write_synthetic(spec);
  const h5::Handle file = h5::open_for_reading(spec.path.string());
  const h5::Handle data(H5Dopen2(file.get(), "/layers/00/prob", H5P_DEFAULT));
  std::vector<std::uint16_t> chunk(10 * 6 * 29, 1);
  const hsize_t at[3] = {0, 0, 0};
  std::uint32_t mask = 0;
  ASSERT_GE(H5Dread_chunk(data.get(), H5P_DEFAULT, at, &mask, chunk.data()), 0);
  EXPECT_THAT(std::span(chunk).subspan(3 * 6 * 29), Each(0));
}

TEST(Recorder, KeepsMapsTooSmallToShrink) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.placement = "F";
  spec.n_heads = spec.n_kv_heads = 1;
  spec.prompt_len = 2;
  spec.steps = 1;
  spec.compression = Compression::deflate;
  write_synthetic(spec);
  expect_same_maps(SyntheticRun(spec), RecordingReader(spec.path));
}

TEST(Recorder, LosesNoStepWhenTheWriterIsSlower) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.placement = "F";
  spec.prompt_len = 4000;
  spec.steps = 600;
  spec.compression = Compression::deflate;  // the decoder's side is a copy, the writer's is not
  const SyntheticRun run(spec);
  std::vector<float> prob = run.full_prob(0, spec.steps - 1);
  const std::int64_t stride = run.kv_len(spec.steps - 1);
  const std::vector<std::int32_t> rows(3, 1);
  const std::vector<float> logits(10);
  Recorder recorder(run.options(), run.origin(), spec.steps);
  for (std::int64_t step = 0; step < spec.steps; ++step) {
    prob[7] = static_cast<float>(step) / 1024.0f;  // exact in float16
    LayerEvent event{};
    event.step = step;
    event.kv_len = run.kv_len(step);
    event.prob = prob.data();
    event.prob_stride = stride;
    event.rows_read = rows;
    recorder.on_layer(event);
    recorder.on_step({step, event.kv_len, 1, logits, 0.0f});
    recorder.on_token(static_cast<std::int32_t>(step), "x");
  }
  recorder.finish();
  const RecordingReader reader(spec.path);
  ASSERT_EQ(reader.info().committed_steps, spec.steps);
  std::vector<float> read;
  for (std::int64_t step = 0; step < spec.steps; ++step) {
    reader.read_prob(0, step, false, read);
    ASSERT_EQ(read[7], static_cast<float>(step) / 1024.0f);
    ASSERT_EQ(reader.generated_ids()[static_cast<std::size_t>(step)], step);
  }
}

TEST(Recorder, KeepsNoTopWeightFromBeforeAWindow) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.placement = "F";
  spec.steps = 1;
  spec.maps = MapsMode::top_k;
  spec.top_k = 5;
  const SyntheticRun run(spec);
  const std::int64_t kv_len = run.kv_len(0), first = kv_len - 3;
  std::vector<float> prob(static_cast<std::size_t>(spec.n_heads * kv_len), 0.0f);
  for (std::int64_t head = 0; head < spec.n_heads; ++head) {
    float* row = prob.data() + head * kv_len;
    row[first] = 0.25f, row[first + 1] = 0.5f, row[first + 2] = 0.25f;
  }
  const std::vector<std::int32_t> rows(static_cast<std::size_t>(spec.n_kv_heads), 3);
  const std::vector<float> logits(10);
  Recorder recorder(run.options(), run.origin(), 1);
  LayerEvent event{};
  event.kv_len = kv_len;
  event.first = first;
  event.prob = prob.data();
  event.prob_stride = kv_len;
  event.rows_read = rows;
  recorder.on_layer(event);
  recorder.on_step({0, kv_len, 1, logits, 0.0f});
  recorder.on_token(0, "x");
  recorder.finish();
  std::vector<std::int32_t> position;
  std::vector<float> weight;
  RecordingReader(spec.path).read_top(0, 0, position, weight);
  const auto at = static_cast<std::int32_t>(first);
  EXPECT_THAT(std::span(position).first(5), ::testing::ElementsAre(at + 1, at, at + 2, -1, -1));
  EXPECT_THAT(std::span(weight).first(5), ::testing::ElementsAre(0.5f, 0.25f, 0.25f, 0.0f, 0.0f));
}

TEST(Recorder, KeepsTokensStepsAndAttributes) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.steps = 3;
  write_synthetic(spec);
  const SyntheticRun run(spec);
  const RecordingReader reader(spec.path);
  const RecordingInfo& info = reader.info();
  EXPECT_TRUE(info.complete);
  EXPECT_EQ(info.model_name, "synthetic");
  EXPECT_EQ(info.model_sha256, std::string(64, 'a'));
  EXPECT_EQ(info.policy, run.origin().policy);
  EXPECT_EQ(info.placement, "FFS.");
  EXPECT_EQ(info.config_toml, run.origin().config_toml);
  EXPECT_EQ(info.seed, 1u);
  EXPECT_EQ(info.prompt_len, 20);
  EXPECT_EQ(info.max_kv_len, 22);
  EXPECT_EQ(reader.prompt_ids(), run.origin().prompt_ids);
  EXPECT_THAT(reader.generated_ids(), ElementsAre(100, 101, 102));
  EXPECT_THAT(reader.fed_ids(), ElementsAre(20, 100, 101));
  EXPECT_THAT(reader.kv_len(), ElementsAre(20, 21, 22));
  EXPECT_THAT(reader.latency_ms(), ElementsAre(1.5f, 2.5f, 3.5f));
  const auto strings = reader.token_strings();
  ASSERT_EQ(strings.size(), 23u);
  EXPECT_EQ(strings[0], "\xC3\xA9");
  EXPECT_EQ(strings[1], "\xEF\xBF\xBD\xEF\xBF\xBD");  // two invalid bytes
  EXPECT_EQ(strings[22], " g2");
  const std::vector<float> logits = run.logits(2);
  EXPECT_EQ(reader.logits_hash()[2], XXH3_64bits(logits.data(), logits.size() * sizeof(float)));
}

TEST(Recorder, KeepsSetsOfSelectAndSparseLayersOnly) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  write_synthetic(spec);
  const SyntheticRun run(spec);
  const RecordingReader reader(spec.path);
  EXPECT_FALSE(reader.selected(0).has_value());
  EXPECT_FALSE(reader.selected(1).has_value());
  for (const int layer : {2, 3}) {
    const auto selected = reader.selected(layer);
    ASSERT_TRUE(selected.has_value());
    EXPECT_EQ(selected->n_sets, 6);
    EXPECT_EQ(selected->width, 8);
    EXPECT_THAT(selected->set_of_head, ElementsAre(0, 1, 2, 3, 4, 5));
    const PositionSets sets = run.sets(layer, 9);
    const auto last = static_cast<std::ptrdiff_t>(sets.position.size());
    EXPECT_TRUE(std::equal(sets.position.begin(), sets.position.end(), selected->position.end() - last));
    for (std::size_t i = 0; i < sets.score.size(); ++i) {
      const float score = selected->score[selected->score.size() - sets.score.size() + i];
      EXPECT_TRUE(std::isnan(sets.score[i]) ? std::isnan(score) : score == sets.score[i]) << i;
    }
  }
}

TEST(Recorder, GrowsTheWidthOfSetsAndPadsWithMinusOne) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.prompt_len = 10;
  spec.steps = 100;
  spec.budget = 90;  // clamped to kv_len at first: 10, 11, …, 90
  write_synthetic(spec);
  const RecordingReader reader(spec.path);
  const auto selected = reader.selected(2);
  ASSERT_TRUE(selected.has_value());
  EXPECT_EQ(selected->width, 90);
  for (std::int64_t step = 0; step < 100; ++step) {
    const auto row = selected->position.begin() + step * 6 * 90;
    const auto pads = std::count(row, row + 90, -1);
    ASSERT_EQ(pads, std::max<std::int64_t>(0, 80 - step)) << step;
  }
  EXPECT_EQ(inspect_recording(spec.path).verdict(), "");
}

TEST(Recorder, KeepsShadowPrefillAndTopWeights) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.maps = MapsMode::top_k;
  spec.top_k = 5;
  spec.shadow = true;
  spec.prefill_rows = {0, 3, 18};
  write_synthetic(spec);
  const SyntheticRun run(spec);
  const RecordingReader reader(spec.path);
  EXPECT_FALSE(reader.has_prob(0));
  EXPECT_TRUE(reader.has_shadow_prob(3));
  EXPECT_TRUE(reader.has_top(3));
  std::vector<float> prob, shadow;
  std::vector<std::int32_t> position;
  reader.read_prob(3, 4, true, shadow);
  std::vector<float> full = run.full_prob(3, 4);
  std::transform(full.begin(), full.end(), full.begin(), rounded);
  EXPECT_EQ(shadow, full);
  for (const int layer : {0, 3}) {
    const std::vector<float> exact = expected_prob(run, layer, 4);
    reader.read_top(layer, 4, position, prob);
    ASSERT_EQ(position.size(), 30u);
    for (std::size_t i = 0; i < position.size(); ++i) {
      const auto row = exact.begin() + static_cast<std::ptrdiff_t>(i / 5) * run.kv_len(4);
      EXPECT_EQ(prob[i], row[position[i]]);
      EXPECT_EQ(std::count_if(row, row + run.kv_len(4), [&](float w) { return w > prob[i]; }),
                static_cast<long>(i % 5));
    }
  }
  EXPECT_THAT(reader.prefill_query_positions(), ElementsAre(0, 3, 18));
  reader.read_prefill_prob(1, prob);
  const std::vector<float> row = run.prefill_prob(1, 18);
  for (std::int64_t head = 0; head < 6; ++head) {
    for (std::int64_t p = 0; p < 20; ++p) {
      EXPECT_EQ(prob[static_cast<std::size_t>((head * 3 + 2) * 20 + p)],
                rounded(row[static_cast<std::size_t>(head * 20 + p)]));
    }
  }
  EXPECT_EQ(inspect_recording(spec.path).verdict(), "");
}

TEST(Recorder, RecordsOnlyTheLayersNamed) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.layers = {false, true, false, true};
  write_synthetic(spec);
  const RecordingReader reader(spec.path);
  EXPECT_THAT(reader.layers(), ElementsAre(1, 3));
  expect_same_maps(SyntheticRun(spec), reader);
  expect_input_error([&] { reader.role(0); }, "layer 0 was not recorded");
}

TEST(Recorder, LosesNoStepUnderAnyQueueLength) {
  const TempFolder folder;
  std::vector<std::string> files;
  for (const std::size_t queue_steps : {std::size_t{1}, std::size_t{3}, std::size_t{500}}) {
    SyntheticSpec spec;
    spec.path = folder / ("run" + std::to_string(queue_steps) + ".h5");
    spec.queue_steps = queue_steps;
    spec.prompt_len = 2000;  // 24 KB a layer and step: blocks of a few dozen steps
    spec.steps = 130;
    write_synthetic(spec);
    const RecordingReader reader(spec.path);
    EXPECT_EQ(reader.info().committed_steps, 130);
    expect_same_maps(SyntheticRun(spec), reader);
  }
}

TEST(Recorder, ThreeDigitLayersFromOneHundredOn) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.placement = std::string(101, 'F');
  spec.n_heads = spec.n_kv_heads = 1;
  spec.steps = 2;
  write_synthetic(spec);
  const RecordingReader reader(spec.path);
  EXPECT_EQ(reader.layers().back(), 100);
  expect_same_maps(SyntheticRun(spec), reader);
  EXPECT_TRUE(std::ranges::any_of(inspect_recording(spec.path).datasets,
                                  [](const auto& dataset) { return dataset.path == "/layers/007/prob"; }));
}

}  // namespace
}  // namespace tide::test
