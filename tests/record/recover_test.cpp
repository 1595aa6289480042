// A recording that is cut off, by a kill or by a full disk.

#include "record/recover.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "record/export.h"
#include "record/inspect.h"
#include "record/reader.h"
#include "record_helpers.h"
#include "synthetic_recording.h"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

/// Starts a recording, with files limited to `file_limit` bytes unless 0.
pid_t start_writer(const fs::path& out, std::vector<std::string> settings, rlim_t file_limit = 0) {
  std::vector<std::string> arguments = {RECORD_PROBE, "write", out.string()};
  arguments.insert(arguments.end(), settings.begin(), settings.end());
  const pid_t child = ::fork();
  if (child != 0) return child;
  if (file_limit != 0) {
    ::signal(SIGXFSZ, SIG_IGN);  // a write past the limit fails with EFBIG, as one to a full disk with ENOSPC
    const rlimit limit{file_limit, file_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  const std::string errors = out.string() + ".stderr";
  if (std::freopen(errors.c_str(), "w", stderr) == nullptr) ::_exit(126);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execv(pointers[0], pointers.data());
  ::_exit(127);
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

/// Every step that the reader gives holds the maps of the same run without a cut.
void expect_maps_of(const SyntheticSpec& spec, const RecordingReader& reader) {
  SyntheticSpec whole = spec;
  whole.path += ".whole";
  write_synthetic(whole);
  const RecordingReader expected(whole.path);
  std::vector<float> a, b;
  for (const int layer : reader.layers()) {
    for (std::int64_t step = 0; step < reader.info().committed_steps; ++step) {
      reader.read_prob(layer, step, false, a);
      expected.read_prob(layer, step, false, b);
      ASSERT_EQ(a, b) << "layer " << layer << " step " << step;
    }
  }
}

/// Waits until the file of a recording in progress has grown to `bytes`. It is not opened: HDF5 would
/// remember what it saw of it.
void wait_for_size(const fs::path& part, std::uintmax_t bytes) {
  std::error_code absent;
  for (int tries = 0; tries < 20000; ++tries) {
    const auto size = fs::file_size(part, absent);
    if (!absent && size >= bytes) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ADD_FAILURE() << part << " does not grow";
}

void kill_now(pid_t child) {
  ::kill(child, SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(wait_for(child)));
}

TEST(Recorder, KeepsCommittedStepsAfterKill) {
  for (const bool deflate : {false, true}) {
    const TempFolder folder;
    SyntheticSpec spec;
    spec.path = folder / "run.h5";
    const fs::path part = part_path(spec.path), out = folder / "recovered.h5";
    const pid_t child = start_writer(spec.path, {"steps=5000", "max_steps=5000", "prompt=20", "pause_ms=1",
                                                 deflate ? "deflate=1" : "deflate=0"});
    wait_for_size(part, deflate ? 1'000'000 : 9'000'000);  // more than the first block takes
    kill_now(child);
    EXPECT_FALSE(fs::exists(spec.path));
    const std::int64_t committed = RecordingReader(part).info().committed_steps;
    ASSERT_GT(committed, 0);
    EXPECT_EQ(recover_recording(part, out), committed);
    const RecordingReader reader(out);
    EXPECT_TRUE(reader.info().complete);
    EXPECT_EQ(reader.token_strings().size(), static_cast<std::size_t>(20 + committed));
    EXPECT_EQ(inspect_recording(out).verdict(), "");
    spec.steps = committed;
    expect_maps_of(spec, reader);
  }
}

TEST(Recorder, SurvivesKillsAtManyMoments) {
  constexpr int kRuns = 20;
  int recovered_runs = 0;
  for (int run = 0; run < kRuns; ++run) {
    const TempFolder folder;
    const fs::path path = folder / "run.h5", part = part_path(path);
    // Without a pause: 64 steps are committed every few milliseconds, so that kills meet writes.
    const pid_t child =
        start_writer(path, {"steps=100000", "max_steps=100000", "prompt=5", "maps=topk", "deflate=1"});
    wait_for_size(part, 500'000);
    std::this_thread::sleep_for(std::chrono::milliseconds(run));
    kill_now(child);
    try {
      const std::int64_t committed = RecordingReader(part).info().committed_steps;
      EXPECT_EQ(recover_recording(part, folder / "out.h5"), committed);
      EXPECT_EQ(inspect_recording(folder / "out.h5").verdict(), "");
      ++recovered_runs;
    } catch (const InputError&) {
      // Killed in the middle of an index: the file is refused, which is allowed to be rare.
    }
  }
  EXPECT_GE(recovered_runs, kRuns - 2);
}

TEST(Recorder, FullDiskIsOneLineAndLeavesNoFileUnderTheFinalName) {
  for (const rlim_t limit : {30000, 100000, 300000, 3000000}) {
    const TempFolder folder;
    const fs::path path = folder / "run.h5";
    const int status = wait_for(start_writer(path, {"steps=2000", "prompt=200"}, limit));
    ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 1);
    EXPECT_FALSE(fs::exists(path));
    const std::string errors = read_text(path.string() + ".stderr");
    EXPECT_NE(errors.find("run.h5.part: File too large"), std::string::npos) << errors;
    EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 1) << errors;
  }
}

TEST(Recorder, FullDiskKeepsTheStepsCommittedBefore) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.steps = 2000;
  spec.prompt_len = 200;
  const int status = wait_for(start_writer(spec.path, {"steps=2000", "prompt=200"}, 8000000));
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  const std::int64_t recovered = recover_recording(part_path(spec.path), folder / "out.h5");
  EXPECT_GT(recovered, 0);
  EXPECT_EQ(inspect_recording(folder / "out.h5").verdict(), "");
  spec.steps = recovered;
  spec.max_steps = 2000;
  expect_maps_of(spec, RecordingReader(folder / "out.h5"));
}

TEST(Recorder, AnotherRecordingWorksAfterAFailedOne) {
  const TempFolder folder;
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  SyntheticSpec spec;
  spec.path = folder / "fails.h5";
  spec.steps = 300;
  spec.prompt_len = 200;
  const rlimit limit{500000, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  expect_work_error([&] { write_synthetic(spec); }, "fails.h5.part: File too large");
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, handler);
  EXPECT_FALSE(fs::exists(spec.path));
  spec.path = folder / "works.h5";
  write_synthetic(spec);
  EXPECT_EQ(inspect_recording(spec.path).verdict(), "");
}

TEST(Recorder, WithoutFinishThePartStays) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  {
    const SyntheticRun run(spec);
    Recorder recorder(run.options(), run.origin(), spec.steps);
    for (std::int64_t step = 0; step < 7; ++step) run.feed_step(recorder, step);
  }
  EXPECT_FALSE(fs::exists(spec.path));
  const RecordingReader reader(part_path(spec.path));
  EXPECT_FALSE(reader.info().complete);
  EXPECT_EQ(reader.info().committed_steps, 7);
  EXPECT_EQ(reader.info().max_kv_len, 26);
}

/// A dataset's type, shape and values.
std::string bytes_of(const fs::path& file, const std::string& dataset, const TempFolder& folder) {
  export_datasets(file, {dataset}, ExportFormat::npy, folder / "dataset.npy");
  return read_text(folder / "dataset.npy");
}

TEST(Recover, KeepsEveryDatasetAndAttributeOfASoundFile) {
  for (const MapsMode maps : {MapsMode::full, MapsMode::top_k, MapsMode::none}) {
    const TempFolder folder;
    SyntheticSpec spec;
    spec.path = folder / "run.h5";
    spec.maps = maps;
    spec.top_k = maps == MapsMode::top_k ? 4 : 0;
    spec.shadow = maps == MapsMode::full;
    spec.prefill_rows = {1, 2, 5, 18};
    spec.compression = Compression::deflate;
    write_synthetic(spec);
    const fs::path copy = folder / "copy.h5";
    EXPECT_EQ(recover_recording(spec.path, copy), 10);
    const Inspection before = inspect_recording(spec.path), after = inspect_recording(copy);
    EXPECT_EQ(before.attributes, after.attributes);
    ASSERT_EQ(before.datasets.size(), after.datasets.size());
    for (std::size_t i = 0; i < before.datasets.size(); ++i) {
      const std::string& path = before.datasets[i].path;
      EXPECT_EQ(after.datasets[i].path, path);
      EXPECT_EQ(after.datasets[i].stored_bytes, before.datasets[i].stored_bytes) << path;
      EXPECT_TRUE(bytes_of(spec.path, path, folder) == bytes_of(copy, path, folder)) << path;
    }
  }
}

TEST(Recover, RefusesAFileWithoutCommittedSteps) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  {
    const SyntheticRun run(spec);
    const Recorder recorder(run.options(), run.origin(), spec.steps);
  }
  expect_input_error([&] { recover_recording(part_path(spec.path), folder / "out.h5"); },
                     "no step was committed");
  EXPECT_FALSE(fs::exists(folder / "out.h5"));
}

}  // namespace
}  // namespace tide::test
