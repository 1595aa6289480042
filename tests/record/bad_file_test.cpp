// Every way in which a recording can be bad is refused in one line, or found by inspect.

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "base/file.h"
#include "base/float16.h"
#include "record/h5.h"
#include "record/inspect.h"
#include "record/reader.h"
#include "record_helpers.h"
#include "synthetic_recording.h"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

class BadFile : public ::testing::Test {
 protected:
  void SetUp() override {
    spec_.path = path_;
    spec_.shadow = true;
    spec_.prefill_rows = {2, 4};
    spec_.evidence = {3, 4, 11};
    write_synthetic(spec_);
  }

  /// Opens the recording for damage.
  h5::Handle open() const {
    h5::prepare_thread();
    return h5::Handle(H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
  }

  /// Overwrites one element of a dataset.
  template <typename T>
  void put(const char* dataset, std::vector<hsize_t> at, T value, const h5::Handle& type) const {
    const h5::Handle file = open();
    const h5::Handle data(H5Dopen2(file.get(), dataset, H5P_DEFAULT));
    const h5::Handle space(H5Dget_space(data.get()));
    ASSERT_GE(H5Sselect_elements(space.get(), H5S_SELECT_SET, 1, at.data()), 0);
    const hsize_t one = 1;
    const h5::Handle memory(H5Screate_simple(1, &one, nullptr));
    ASSERT_GE(H5Dwrite(data.get(), type.get(), memory.get(), space.get(), H5P_DEFAULT, &value), 0);
  }
  template <typename T>
  void put(const char* dataset, std::vector<hsize_t> at, T value) const {
    put(dataset, std::move(at), value, h5::Handle(H5Tcopy(h5::native_type<T>())));
  }
  void put_half(const char* dataset, std::vector<hsize_t> at, float value) const {
    put(dataset, std::move(at), float_to_half(value), h5::half_type());
  }

  void remove(const char* dataset) const {
    const h5::Handle file = open();
    ASSERT_GE(H5Ldelete(file.get(), dataset, H5P_DEFAULT), 0);
  }

  void refused(const std::string& part) const {
    expect_input_error([&] { RecordingReader reader(path_); }, part);
    expect_input_error([&] { inspect_recording(path_); }, path_.filename().string());
  }
  void unsound(const std::string& part) const {
    const Inspection inspection = inspect_recording(path_);
    EXPECT_FALSE(inspection.sound());
    EXPECT_NE(inspection.verdict().find(part), std::string::npos) << inspection.verdict();
    EXPECT_EQ(inspection.verdict().find('\n'), std::string::npos);
  }

  void write_bytes(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

  TempFolder folder_;
  fs::path path_ = folder_ / "run.h5";
  SyntheticSpec spec_;
};

TEST_F(BadFile, SoundToBeginWith) { EXPECT_EQ(inspect_recording(path_).verdict(), ""); }

TEST_F(BadFile, EvidenceThatDoesNotRiseOrLiesBehindThePrompt) {
  put<std::int32_t>("/tokens/evidence", {1}, 3);
  EXPECT_NE(inspect_recording(path_).verdict().find("/tokens/evidence: 3 behind 3; expected rising"),
            std::string::npos)
      << inspect_recording(path_).verdict();
  put<std::int32_t>("/tokens/evidence", {1}, 4);
  put<std::int32_t>("/tokens/evidence", {2}, 20);
  EXPECT_NE(inspect_recording(path_).verdict().find(
                "20 behind 4; expected rising positions of a prompt of 20 tokens"),
            std::string::npos)
      << inspect_recording(path_).verdict();
}

TEST_F(BadFile, Missing) {
  fs::remove(path_);
  refused("run.h5: no such file");
}

TEST_F(BadFile, AFolder) {
  fs::remove(path_);
  fs::create_directory(path_);
  refused("run.h5: not a regular file");
}

TEST_F(BadFile, Empty) {
  write_bytes("");
  refused("not an HDF5 file");
}

TEST_F(BadFile, Text) {
  write_bytes("this is no recording\n");
  refused("not an HDF5 file");
}

TEST_F(BadFile, TruncatedAtEveryEighthOfItsLength) {
  const std::string whole = read_text(path_);
  for (std::size_t eighth = 1; eighth < 8; ++eighth) {
    write_bytes(whole.substr(0, whole.size() * eighth / 8));
    refused("run.h5: truncated file");
  }
}

/// Whether a place lies in a global heap, where HDF5 keeps texts. HDF5 1.10 copies as many bytes as the heap
/// says before a caller learns of them: damage there may crash it, which nothing of ours can find out first.
bool in_global_heap(const std::string& file, std::size_t place) {
  for (auto at = file.find("GCOL"); at != std::string::npos && at <= place + 16;
       at = file.find("GCOL", at + 4)) {
    std::uint64_t size = 0;
    std::memcpy(&size, file.data() + at + 8, sizeof size);
    if (place + 16 > at && place < at + size) return true;
  }
  return false;
}

TEST_F(BadFile, DamagedAnywhereIsNoCrash) {
  const std::string whole = read_text(path_);
  for (std::size_t at = 8; at < whole.size(); at += whole.size() / 150) {
    if (in_global_heap(whole, at)) continue;
    std::string damaged = whole;
    for (std::size_t i = at; i < std::min(at + 16, whole.size()); ++i)
      damaged[i] = static_cast<char>(damaged[i] ^ 0x5a);
    write_bytes(damaged);
    try {
      inspect_recording(path_);
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

TEST_F(BadFile, ForeignHdf5) {
  fs::remove(path_);
  h5::prepare_thread();
  h5::Handle(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)).reset();
  refused("an HDF5 file, but not a recording");
}

TEST_F(BadFile, NewerFormat) {
  {
    const h5::Handle file = open();
    h5::write_attribute(file.get(), "format_version", std::int64_t{2}, "test");
  }
  refused("format_version is 2, expected 1");
}

TEST_F(BadFile, MissingAttribute) {
  {
    const h5::Handle file = open();
    H5Adelete(file.get(), "n_heads");
  }
  refused("attribute 'n_heads' is missing");
}

TEST_F(BadFile, AttributeOfAnotherType) {
  {
    const h5::Handle file = open();
    h5::write_attribute(file.get(), "policy", std::string("x"), "test");
    H5Adelete(file.get(), "n_layers");
    h5::write_attribute(file.get(), "n_layers", std::string("four"), "test");
  }
  refused("attribute 'n_layers': expected one integer");
}

TEST_F(BadFile, MoreCommittedThanThereIs) {
  {
    const h5::Handle file = open();
    h5::write_attribute(file.get(), "committed_steps", std::int64_t{11}, "test");
  }
  refused("/steps/kv_len: holds 10 along dimension 0, expected at least 11");
}

TEST_F(BadFile, AbsurdCommittedSteps) {
  {
    const h5::Handle file = open();
    h5::write_attribute(file.get(), "committed_steps", std::int64_t{1} << 60, "test");
  }
  refused("attribute 'committed_steps'");
}

TEST_F(BadFile, AnExtentOfTerabytesIsNotAllocated) {
  {
    const h5::Handle file = open();
    const h5::Handle data(H5Dopen2(file.get(), "/steps/kv_len", H5P_DEFAULT));
    const hsize_t size = hsize_t{1} << 31;
    ASSERT_GE(H5Dset_extent(data.get(), &size), 0);
    h5::write_attribute(file.get(), "committed_steps", std::int64_t{1} << 31, "test");
  }
  refused("bytes stored cannot hold");
}

TEST_F(BadFile, MissingDataset) {
  remove("/steps/latency_ms");
  unsound("/steps/latency_ms is missing");
  expect_input_error([&] { RecordingReader(path_).latency_ms(); }, "/steps/latency_ms is missing");
}

TEST_F(BadFile, LayerThatTheModelDoesNotHave) {
  {
    const h5::Handle file = open();
    h5::Handle(H5Gcreate2(file.get(), "/layers/04", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)).reset();
  }
  refused("/layers/04: expected the number of one of 4 layers");
}

TEST_F(BadFile, WrongShape) {
  remove("/layers/01/rows_read");
  {
    const h5::Handle file = open();
    const hsize_t size[2] = {10, 2};
    const h5::Handle space(H5Screate_simple(2, size, nullptr));
    h5::Handle(H5Dcreate2(file.get(), "/layers/01/rows_read", H5T_STD_I32LE, space.get(), H5P_DEFAULT,
                          H5P_DEFAULT, H5P_DEFAULT))
        .reset();
  }
  unsound("/layers/01/rows_read: shape is [10, 2], expected [any, 3]");
}

TEST_F(BadFile, WrongType) {
  remove("/steps/kv_len");
  {
    const h5::Handle file = open();
    const hsize_t size = 10;
    const h5::Handle space(H5Screate_simple(1, &size, nullptr));
    h5::Handle(H5Dcreate2(file.get(), "/steps/kv_len", H5T_IEEE_F64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT,
                          H5P_DEFAULT))
        .reset();
  }
  refused("/steps/kv_len: expected elements of type int64");
}

TEST_F(BadFile, RowThatDoesNotSumToOne) {
  put_half("/layers/01/prob", {3, 2, 5}, 0.5f);
  unsound("/layers/01/prob: rows sum to 1, 0 beyond kv_len: step 3, head 2: weights sum to");
}

TEST_F(BadFile, NegativeWeight) {
  put_half("/layers/01/shadow_prob", {3, 2, 5}, -0.01f);
  unsound("step 3, head 2, position 5: -0.0");
}

TEST_F(BadFile, NanWeight) {
  put_half("/layers/01/prob", {3, 2, 5}, std::numeric_limits<float>::quiet_NaN());
  unsound("step 3, head 2, position 5: nan is no weight");
}

TEST_F(BadFile, WeightBeyondKvLen) {
  put_half("/layers/00/prob", {3, 2, 25}, 1e-4f);
  unsound("step 3, head 2, position 25");
}

TEST_F(BadFile, WeightOffTheSet) {
  std::vector<float> prob;
  RecordingReader(path_).read_prob(3, 4, false, prob);
  const auto zero = std::find(prob.begin(), prob.begin() + 24, 0.0f) - prob.begin();
  put_half("/layers/03/prob", {4, 0, static_cast<hsize_t>(zero)}, 1e-5f);
  unsound("which is not in the set");
}

TEST_F(BadFile, SelectedPositionTwice) {
  put<std::int32_t>("/layers/02/selected", {1, 0, 1}, 0);
  unsound("step 1, set 0: position 0 stands there twice");
}

TEST_F(BadFile, SelectedPositionOutOfRange) {
  put<std::int32_t>("/layers/02/selected", {1, 0, 7}, 21);
  unsound("step 1, set 0: position 21 of 21");
}

TEST_F(BadFile, ScoresNotFalling) {
  put<float>("/layers/02/selected_score", {1, 0, 7}, 2.0f);
  unsound("with score 2 follows");
}

TEST_F(BadFile, ForcedAfterScored) {
  put<float>("/layers/02/selected_score", {1, 0, 5}, std::numeric_limits<float>::quiet_NaN());
  unsound("follows a scored one");
}

TEST_F(BadFile, SetOfHeadOutOfRange) {
  put<std::int32_t>("/layers/02/set_of_head", {1}, 6);
  unsound("set 6 of 6 sets");
}

TEST_F(BadFile, UnknownRole) {
  put<std::uint8_t>("/layers/02/role", {1}, 9);
  unsound("role 9 is not one of 0 to 4");
}

TEST_F(BadFile, RowsReadBeyondKvLen) {
  put<std::int32_t>("/layers/02/rows_read", {1, 0}, 22);
  unsound("rows_read is 22, expected 1 to 21");
}

TEST_F(BadFile, KvLenOutOfStep) {
  put<std::int64_t>("/steps/kv_len", {4}, 23);
  unsound("step 4: kv_len is 23, expected 24");
}

TEST_F(BadFile, PrefillRowBeyondItsQuery) {
  put_half("/prefill/layers/01/prob", {0, 1, 9}, 0.5f);
  unsound("layer 1, head 0, query 4, position 9");
}

TEST_F(BadFile, CutOff) {
  {
    const h5::Handle file = open();
    h5::write_attribute(file.get(), "complete", std::int64_t{0}, "test");
  }
  unsound("was cut off: 10 steps were committed");
}

TEST(BadChunk, DamagedCompressedChunk) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  spec.compression = Compression::deflate;
  write_synthetic(spec);
  haddr_t address = 0;
  hsize_t size = 0;
  {
    h5::prepare_thread();
    const h5::Handle file(H5Fopen(spec.path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
    const h5::Handle data(H5Dopen2(file.get(), "/layers/00/prob", H5P_DEFAULT));
    const hsize_t at[3] = {0, 0, 0};
    ASSERT_GE(H5Dget_chunk_info_by_coord(data.get(), at, nullptr, &address, &size), 0);
  }
  ASSERT_GT(size, 100u);
  std::fstream file(spec.path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(address + size / 2));
  file.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  file.close();
  std::vector<float> prob;
  const RecordingReader reader(spec.path);
  expect_input_error([&] { reader.read_prob(0, 0, false, prob); }, "/layers/00/prob");
  EXPECT_FALSE(inspect_recording(spec.path).sound());
}

TEST(Reader, RefusesAStepThatIsNotThere) {
  const TempFolder folder;
  SyntheticSpec spec;
  spec.path = folder / "run.h5";
  write_synthetic(spec);
  const RecordingReader reader(spec.path);
  std::vector<float> prob;
  expect_input_error([&] { reader.read_prob(0, 10, false, prob); }, "step 10 is not there, expected 0 to 9");
  expect_input_error([&] { reader.read_prob(0, -1, false, prob); }, "step -1");
  expect_input_error([&] { reader.read_prob(0, 0, true, prob); }, "/layers/00/shadow_prob is missing");
}

}  // namespace
}  // namespace tide::test
