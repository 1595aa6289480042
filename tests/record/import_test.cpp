// Another program's dump is read with distrust: each way in which it can be bad.

#include "record/import.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/file.h"
#include "base/float16.h"
#include "record/inspect.h"
#include "record/npy.h"
#include "record/reader.h"
#include "record_helpers.h"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

/// An array of a dump: uniform causal attention of 2 steps, 2 heads, 4 positions.
std::string uniform_array(const std::string& descr = "<f4", std::vector<std::int64_t> shape = {2, 2, 4}) {
  std::string bytes = record::npy_header(descr, shape);
  for (std::int64_t step = 0; step < shape[0]; ++step) {
    const std::int64_t length = shape[2] - shape[0] + step + 1;
    for (std::int64_t i = 0; i < shape[1] * shape[2]; ++i) {
      const float weight = i % shape[2] < length ? 1.0f / static_cast<float>(length) : 0.0f;
      const double wide = weight;
      const std::uint16_t half = float_to_half(weight);
      if (descr == "<f2") bytes.append(reinterpret_cast<const char*>(&half), sizeof half);
      if (descr == "<f4") bytes.append(reinterpret_cast<const char*>(&weight), sizeof weight);
      if (descr == "<f8") bytes.append(reinterpret_cast<const char*>(&wide), sizeof wide);
    }
  }
  return bytes;
}

class Import : public ::testing::Test {
 protected:
  using Members = std::vector<std::pair<std::string, std::string>>;

  void write_npz(const Members& members) const {
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    ASSERT_NE(file, nullptr);
    record::ZipWriter zip(file, path_.string());
    for (const auto& [name, bytes] : members) {
      zip.begin(name, bytes.size());
      zip.write({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    }
    zip.finish();
    std::fclose(file);
  }
  void refused(const std::string& part) const {
    expect_input_error([&] { read_attention_npz(path_); }, part);
  }
  /// One value of layer 0 replaced.
  void write_with(std::int64_t element, float value) const {
    std::string array = uniform_array();
    std::memcpy(array.data() + array.size() - 16 * 4 + element * 4, &value, 4);
    write_npz({{"layer_00.npy", array}});
  }

  TempFolder folder_;
  fs::path path_ = folder_ / "dump.npz";
};

TEST_F(Import, KeepsTheWeightsOfEveryType) {
  for (const std::string descr : {"<f2", "<f4", "<f8"}) {
    write_npz({{"layer_01.npy", uniform_array(descr)}, {"layer_00.npy", uniform_array("<f4")}});
    ImportedAttention dump = read_attention_npz(path_);
    EXPECT_EQ(dump.n_layers, 2);
    EXPECT_EQ(dump.steps, 2);
    EXPECT_EQ(dump.n_heads, 2);
    EXPECT_EQ(dump.positions, 4);
    dump.model_name = "other";
    dump.n_kv_heads = 1;
    write_imported(folder_ / "out.h5", dump);
    EXPECT_EQ(inspect_recording(folder_ / "out.h5").verdict(), "");
    const RecordingReader reader(folder_ / "out.h5");
    EXPECT_EQ(reader.kv_len(), (std::vector<std::int64_t>{3, 4}));
    EXPECT_EQ(reader.info().prompt_len, 3);
    std::vector<float> prob;
    reader.read_prob(1, 0, false, prob);
    EXPECT_EQ(prob, std::vector<float>(6, half_to_float(float_to_half(1.0f / 3.0f))));
    reader.read_prob(1, 1, false, prob);
    EXPECT_EQ(prob, std::vector<float>(8, 0.25f));
  }
}

TEST_F(Import, Missing) { refused("dump.npz: No such file or directory"); }

TEST_F(Import, NotAnArchive) {
  std::ofstream(path_) << "not a zip file at all, but long enough to hold an end record";
  refused("not a zip archive");
}

TEST_F(Import, EmptyFile) {
  std::ofstream(path_).close();
  refused("not a zip archive");
}

TEST_F(Import, TruncatedArchive) {
  write_npz({{"layer_00.npy", uniform_array()}});
  const std::string whole = read_text(path_);
  std::ofstream(path_, std::ios::binary) << whole.substr(0, whole.size() - 30);
  refused("dump.npz");
}

TEST_F(Import, DamagedAnywhereIsNoCrash) {
  write_npz({{"layer_00.npy", uniform_array()}});
  const std::string whole = read_text(path_);
  int refusals = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0xff);
    std::ofstream(path_, std::ios::binary) << damaged;
    try {
      read_attention_npz(path_);
    } catch (const InputError& error) {
      ++refusals;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_GT(refusals, static_cast<int>(whole.size()) / 2);
}

TEST_F(Import, ChecksumOfAnotherArray) {
  write_npz({{"layer_00.npy", uniform_array()}});
  std::string bytes = read_text(path_);
  bytes[bytes.find("\x93NUMPY") + 130] ^= 1;
  std::ofstream(path_, std::ios::binary) << bytes;
  refused("layer_00.npy: checksum");
}

TEST_F(Import, NoArrays) {
  write_npz({});
  refused("no arrays, expected layer_00");
}

TEST_F(Import, ArrayOfAnotherName) {
  write_npz({{"layer_00.npy", uniform_array()}, {"attention.npy", uniform_array()}});
  refused("array 'attention.npy': expected layer_NN");
}

TEST_F(Import, MissingLayer) {
  write_npz({{"layer_00.npy", uniform_array()}, {"layer_02.npy", uniform_array()}});
  refused("array layer_01 is missing");
}

TEST_F(Import, SameLayerTwice) {
  write_npz({{"layer_00.npy", uniform_array()}, {"layer_0.npy", uniform_array()}});
  refused("layer 0 stands there twice");
}

TEST_F(Import, NotAnArray) {
  write_npz({{"layer_00.npy", "hello, this is not a npy"}});
  refused("layer_00: not a .npy");
}

TEST_F(Import, IntegerElements) {
  write_npz({{"layer_00.npy", record::npy_header("<i4", {2, 2, 4}) + std::string(64, '\0')}});
  refused("elements are '<i4', expected little-endian float16, float32 or float64");
}

TEST_F(Import, TwoDimensions) {
  write_npz({{"layer_00.npy", record::npy_header("<f4", {2, 8}) + std::string(64, '\0')}});
  refused("shape [2, 8], expected [steps, heads, positions]");
}

TEST_F(Import, AbsurdExtents) {
  const std::int64_t huge = std::int64_t{1} << 40;
  write_npz({{"layer_00.npy", record::npy_header("<f4", {huge, 2, huge}) + std::string(64, '\0')}});
  refused("layer_00");
}

TEST_F(Import, FewerPositionsThanSteps) {
  write_npz({{"layer_00.npy", record::npy_header("<f4", {4, 2, 2}) + std::string(64, '\0')}});
  refused("2 positions for 4 steps");
}

TEST_F(Import, ShortValues) {
  const std::string array = uniform_array();
  write_npz({{"layer_00.npy", array.substr(0, array.size() - 4)}});
  refused("60 bytes of values, shape [2, 2, 4] needs 16 elements of 4 bytes");
}

TEST_F(Import, LayersOfDifferentShapes) {
  write_npz({{"layer_00.npy", uniform_array()}, {"layer_01.npy", uniform_array("<f4", {2, 2, 5})}});
  refused("layer_01: shape [2, 2, 5], layer_00 has [2, 2, 4]");
}

TEST_F(Import, ColumnMajor) {
  std::string array = uniform_array();
  const auto at = array.find("False");
  array.replace(at, 5, "True ");
  write_npz({{"layer_00.npy", array}});
  refused("column-major");
}

TEST_F(Import, NegativeWeight) {
  write_with(1, -0.25f);
  refused("layer_00: step 0, head 0, position 1: -0.25 is no weight");
}

TEST_F(Import, NanWeight) {
  write_with(5, std::numeric_limits<float>::quiet_NaN());
  refused("step 0, head 1, position 1: nan is no weight");
}

TEST_F(Import, WeightFromTheFuture) {
  write_with(3, 0.001f);
  refused("step 0, head 0, position 3: 0.001 where the step has 3 positions, expected 0");
}

TEST_F(Import, ScoresInsteadOfWeights) {
  write_with(0, 7.5f);
  refused("step 0, head 0: weights sum to 8.167, expected 1 (after softmax)");
}

}  // namespace
}  // namespace tide::test
