// The cap and the size estimate; queue and options.

#include <gtest/gtest.h>

#include "base/file.h"
#include "record/inspect.h"
#include "record/reader.h"
#include "record_helpers.h"
#include "synthetic_recording.h"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

TEST(Recorder, StopsBeforeTheFilePassesTheCap) {
  for (const Compression compression : {Compression::none, Compression::deflate}) {
    for (const MapsMode maps : {MapsMode::full, MapsMode::none}) {
      for (const std::uint64_t cap : {700'000u, 2'000'000u, 6'000'000u}) {
        const TempFolder folder;
        SyntheticSpec spec;
        spec.path = folder / "run.h5";
        spec.maps = maps;
        spec.compression = compression;
        spec.prompt_len = 300;
        spec.max_steps = spec.steps = 20000;
        spec.budget = 64;
        spec.max_bytes = cap;
        write_synthetic(spec);
        const std::uint64_t size = fs::file_size(spec.path);
        EXPECT_LE(size, cap) << "maps " << static_cast<int>(maps);
        EXPECT_GE(size, cap / 2) << "maps " << static_cast<int>(maps) << " deflate "
                                 << static_cast<int>(compression);
        EXPECT_EQ(inspect_recording(spec.path).verdict(), "");
      }
    }
  }
}

TEST(Recorder, RefusesACapBelowOneStep) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.max_bytes = 1000;
  expect_input_error([&] { write_synthetic(spec); }, "more than the cap of 1 KB");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Recorder, EstimateIsCloseToTheFile) {
  for (const MapsMode maps : {MapsMode::full, MapsMode::top_k}) {
    for (const int layers : {1, 4, 30}) {
      const TempFolder folder;
      SyntheticSpec spec;
      spec.path = folder / "run.h5";
      spec.placement = std::string(static_cast<std::size_t>(layers), 'F');
      spec.maps = maps;
      spec.top_k = 32;
      spec.prompt_len = 700;
      spec.steps = 100;
      spec.prefill_rows = {3, 5};
      write_synthetic(spec);
      const SyntheticRun run(spec);
      const auto estimate = static_cast<double>(
          estimate_bytes(run.options(), run.origin().config, spec.prompt_len, spec.steps));
      const auto size = static_cast<double>(fs::file_size(spec.path));
      EXPECT_LT(size, estimate);
      EXPECT_GT(size, 0.6 * estimate) << "layers " << layers;
    }
  }
}

TEST(Recorder, EstimateCountsSetsWhenTheirWidthIsKnown) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.placement = "S...S...";
  spec.maps = MapsMode::none;
  spec.prompt_len = 300;
  spec.budget = 250;
  spec.steps = 100;
  write_synthetic(spec);
  const SyntheticRun run(spec);
  RecorderOptions options = run.options();
  const auto size = fs::file_size(spec.path);
  EXPECT_GT(size, estimate_bytes(options, run.origin().config, spec.prompt_len, spec.steps));
  options.set_width = spec.budget;
  const auto estimate = estimate_bytes(options, run.origin().config, spec.prompt_len, spec.steps);
  EXPECT_LT(size, estimate);
  EXPECT_GT(static_cast<double>(size), 0.8 * static_cast<double>(estimate));
}

TEST(Recorder, RefusesWrongOptions) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  const auto refuse = [&](const SyntheticSpec& wrong, const std::string& part) {
    expect_input_error([&] { write_synthetic(wrong); }, part);
    EXPECT_TRUE(fs::is_empty(folder.path()));
  };
  SyntheticSpec wrong = spec;
  wrong.prefill_rows = {3, 3};
  refuse(wrong, "prefill row 3: expected ascending rows from 0 to 18");
  wrong.prefill_rows = {19};
  refuse(wrong, "prefill row 19");
  wrong = spec;
  wrong.maps = MapsMode::top_k;
  refuse(wrong, "topk:0");
  wrong = spec;
  wrong.layers = {true};
  refuse(wrong, "layers named for 1 layers, the model has 4");
  wrong = spec;
  wrong.path = folder / "absent/run.h5";
  refuse(wrong, "absent/run.h5.part: No such file or directory");
}

}  // namespace
}  // namespace tide::test
