// GGUF checkpoints in several files: what is read, and what is refused by name.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "base/error.h"
#include "model/gguf.h"
#include "tests/model/gguf_builder.h"

namespace tide {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// What one file says and holds; a key that is -1 is left out.
struct Part {
  std::string name;
  int number = 0, count = 3, n_tensors = 3;
  std::vector<std::string> tensors;
};

std::string bytes_of(const Part& part) {
  GgufBytes metadata;
  std::uint64_t n_keys = 0;
  const std::map<std::string, int> keys = {
      {"split.no", part.number}, {"split.count", part.count}, {"split.tensors.count", part.n_tensors}};
  for (const auto& [key, value] : keys) {
    if (value == -1) continue;
    metadata.str(key).u32(2).put(static_cast<std::uint16_t>(value));
    ++n_keys;
  }
  GgufBytes b;
  b.header(part.tensors.size(), n_keys).raw(metadata.bytes);
  for (std::size_t i = 0; i < part.tensors.size(); ++i) b.tensor(part.tensors[i], {1}, 0, 32 * i);
  b.pad(32);
  for (const std::string& tensor : part.tensors) b.put(static_cast<float>(tensor.front())).pad(32);
  return b.bytes;
}

class GgufSplit : public ::testing::Test {
 protected:
  GgufSplit() { fs::create_directories(folder_); }
  ~GgufSplit() override { fs::remove_all(folder_); }

  void write() const {
    for (const Part& part : parts_) std::ofstream(folder_ / part.name, std::ios::binary) << bytes_of(part);
  }
  /// Why the checkpoint whose file `name` is given is refused.
  std::string refusal(const std::string& name) const {
    write();
    const auto message = message_of<InputError>([&] { const GgufFile file(folder_ / name); });
    EXPECT_THAT(message, Not(HasSubstr("\n")));
    return message;
  }
  std::string refusal() const { return refusal(parts_[0].name); }

  std::vector<Part> parts_ = {{"m-00001-of-00003.gguf", 0, 3, 3, {"a"}},
                              {"m-00002-of-00003.gguf", 1, 3, 3, {"c"}},
                              {"m-00003-of-00003.gguf", 2, 3, 3, {"b"}}};
  fs::path folder_ =
      fs::path(::testing::TempDir()) /
      ("tide_split_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(GgufSplit, ReadsTheTensorsOfAllFiles) {
  write();
  const GgufFile file(folder_ / parts_[0].name);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.path(), folder_ / parts_[0].name);
  EXPECT_THAT(file.files(),
              ElementsAre(folder_ / parts_[0].name, folder_ / parts_[1].name, folder_ / parts_[2].name));
  for (const char* name : {"a", "b", "c"}) {
    float weight = 0;
    dequantise_rows(file.tensors().at(name), 0, 1, &weight);
    EXPECT_EQ(weight, static_cast<float>(*name));
  }
}

TEST_F(GgufSplit, NamesTheFileOfATensor) {
  write();
  const GgufFile file(folder_ / parts_[0].name);
  const std::array<std::int64_t, 1> shape = {2};
  EXPECT_THAT(message_of<InputError>([&] { file.tensor("b", shape); }),
              HasSubstr("m-00003-of-00003.gguf: byte 160: tensor b: shape [2] expected, found [1]"));
  EXPECT_THAT(message_of<InputError>([&] { file.tensor("a", shape); }), HasSubstr("m-00001-of-00003.gguf: "));
}

TEST_F(GgufSplit, OneFileOfOneIsNoSplit) {
  parts_ = {{"whole.gguf", 0, 1, 1, {"a"}}};
  EXPECT_EQ(refusal(), "");
  parts_[0].count = 0;
  EXPECT_EQ(refusal(), "");
  parts_[0].count = -1;
  EXPECT_EQ(refusal(), "");
}

TEST_F(GgufSplit, RefusesALaterFile) {
  EXPECT_THAT(refusal(parts_[1].name),
              HasSubstr("m-00002-of-00003.gguf: file 2 of the 3 into which this checkpoint is split; name "
                        "the first, …-00001-of-00003.gguf"));
}

TEST_F(GgufSplit, RefusesAnAbsentFile) {
  parts_.pop_back();
  EXPECT_THAT(refusal(), HasSubstr("m-00001-of-00003.gguf: this checkpoint is split into 3 files, of which "
                                   "m-00003-of-00003.gguf is absent"));
}

TEST_F(GgufSplit, RefusesAFirstFileOfAnotherName) {
  parts_[0].name = "renamed.gguf";
  EXPECT_THAT(refusal(), HasSubstr("renamed.gguf: the first of 3 files into which this checkpoint is split; "
                                   "its name must end in -00001-of-00003.gguf"));
}

TEST_F(GgufSplit, RefusesFilesInTheWrongOrder) {
  std::swap(parts_[1].name, parts_[2].name);
  EXPECT_THAT(refusal(), HasSubstr("m-00002-of-00003.gguf: split.no is 2, expected 1, by its name"));
}

TEST_F(GgufSplit, RefusesCountsThatDisagree) {
  parts_[1].count = 4;
  EXPECT_THAT(refusal(), HasSubstr("m-00002-of-00003.gguf: split.count is 4, expected 3"));
  parts_[1].count = 3;
  parts_[2].n_tensors = 5;
  EXPECT_THAT(refusal(), HasSubstr("m-00003-of-00003.gguf: split.tensors.count is 5, expected 3"));
}

TEST_F(GgufSplit, RefusesAnotherNumberOfTensors) {
  for (Part& part : parts_) part.n_tensors = 4;
  EXPECT_THAT(refusal(), HasSubstr("split.tensors.count is 4, but its 3 files hold 3 tensors"));
}

TEST_F(GgufSplit, RefusesATensorTwice) {
  parts_[2].tensors = {"a"};
  EXPECT_THAT(refusal(), HasSubstr("m-00003-of-00003.gguf: byte 160: tensor a is also in an earlier shard"));
}

TEST_F(GgufSplit, RefusesMissingKeys) {
  parts_[0].number = -1;
  EXPECT_THAT(refusal(), HasSubstr("no metadata key split.no"));
  parts_[0].number = 0;
  parts_[0].n_tensors = -1;
  EXPECT_THAT(refusal(), HasSubstr("no metadata key split.tensors.count"));
  parts_[0].n_tensors = 3;
  parts_[2].count = -1;
  EXPECT_THAT(refusal(), HasSubstr("m-00003-of-00003.gguf: no metadata key split.count"));
}

TEST_F(GgufSplit, RefusesANumberBeyondTheCount) {
  parts_[0].number = 3;
  EXPECT_THAT(refusal(), HasSubstr("split.no is 3, expected 0 to 2"));
}

TEST_F(GgufSplit, RefusesAnUnsoundFileByItsName) {
  write();
  std::ofstream(folder_ / parts_[1].name) << "not a file of weights";
  const auto message = message_of<InputError>([&] { const GgufFile file(folder_ / parts_[0].name); });
  EXPECT_THAT(message, HasSubstr("m-00002-of-00003.gguf: byte 0: not a GGUF file"));
}

}  // namespace
}  // namespace tide
