#include "model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "base/error.h"
#include "tests/model/gguf_builder.h"
#include "tests/model/safetensors_builder.h"
#include "tests/support/checkpoint_checks.h"

namespace tide {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Why `bytes` is refused; empty: it is not.
std::string refusal(const std::string& bytes) {
  const TemporaryFile file(bytes);
  const std::string message = message_of<InputError>([&] { const SafetensorsFile read(file.path()); });
  if (!message.empty()) {
    EXPECT_THAT(message, AllOf(HasSubstr(file.path().string()), Not(HasSubstr("\n"))));
  }
  return message;
}

/// One tensor "w" of this entry, then `data_bytes` bytes.
std::string with_entry(const std::string& entry, std::size_t data_bytes = 16) {
  return safetensors_bytes(R"({"w":)" + entry + "}", std::string(data_bytes, '\0'));
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

/// Tensors "a" and "b" of 8 bytes each at these offsets, in 16 bytes of data or more.
std::string with_two(const std::string& a, const std::string& b, std::size_t data_bytes = 16) {
  return safetensors_bytes(R"({"a":)" + entry("F32", "[2]", a) + R"(,"b":)" + entry("F32", "[2]", b) + "}",
                           std::string(data_bytes, '\0'));
}

struct Refused {
  const char* name;
  std::string bytes;
  const char* message;
};

class SafetensorsRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(SafetensorsRefuses, ByName) { EXPECT_THAT(refusal(GetParam().bytes), HasSubstr(GetParam().message)); }

const std::string kSound = entry("F32", "[2,2]", "[0,16]");

/// A sound file but for a header of one byte more than a multiple of 8.
std::string misaligned() {
  std::string header = R"({"w":)" + kSound + "}";
  header.resize((header.size() + 7) / 8 * 8 + 1, ' ');
  return safetensors_bytes(header, std::string(16, '\0'), header.size());
}

INSTANTIATE_TEST_SUITE_P(
    Header, SafetensorsRefuses,
    ::testing::Values(
        Refused{"EmptyFile", "", "0 bytes, expected a safetensors file"},
        Refused{"ShortFile", "1234567", "7 bytes, expected a safetensors file"},
        Refused{"HeaderOfLengthZero", std::string(16, '\0'), "byte 0: the header's length is 0"},
        Refused{"HeaderBeyondTheFile", safetensors_bytes("{}", "", 3),
                "a header of 3 bytes, but only 2 follow"},
        Refused{"HeaderAbove100Megabytes", safetensors_bytes("{}", "", 100'000'001),
                "above the format's 100 MB"},
        Refused{"HeaderNearTwoToThe64", safetensors_bytes("{}", "", ~0ull), "length is 18446744073709551615"},
        Refused{"HeaderNearTwoToThe64LessEight", safetensors_bytes("{}", "", ~0ull - 7),
                "length is 18446744073709551608"},
        Refused{"HeaderThatIsNotUtf8", safetensors_bytes("{\"\xff\":1}", ""), "header: byte 2: not UTF-8"},
        Refused{"HeaderThatIsNotJson", safetensors_bytes(R"({"w":{"dtype":)", ""),
                "not JSON after the key 'dtype'"},
        Refused{"TextBehindTheHeader", safetensors_bytes("{} x", ""), "not JSON"},
        Refused{"HeaderThatIsNoObject", safetensors_bytes("[]", ""), "an object expected"},
        Refused{"RepeatedTensor", safetensors_bytes(R"({"w":)" + kSound + R"(,"w":)" + kSound + "}", ""),
                "the key 'w' stands twice"},
        Refused{"RepeatedField", with_entry(R"({"dtype":"F32","dtype":"F32"})"),
                "the key 'dtype' stands twice"},
        Refused{"MetadataOtherThanText", safetensors_bytes(R"({"__metadata__":{"a":1}})", ""),
                "__metadata__: a is 1, expected a string"},
        Refused{"GitLfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n",
                "a Git LFS pointer"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Tensor, SafetensorsRefuses,
    ::testing::Values(
        Refused{"EntryThatIsNoObject", with_entry("3"), "tensor w: an object expected"},
        Refused{"NoDtype", with_entry(R"({"shape":[4],"data_offsets":[0,16]})"),
                "tensor w: dtype is missing"},
        Refused{"NoShape", with_entry(R"({"dtype":"F32","data_offsets":[0,16]})"),
                "tensor w: shape is missing"},
        Refused{"NoOffsets", with_entry(R"({"dtype":"F32","shape":[4]})"),
                "tensor w: data_offsets is missing"},
        Refused{"UnknownDtype", with_entry(entry("F8_E4M3", "[16]", "[0,16]")),
                "tensor w: dtype F8_E4M3 is not supported; supported: F32, F16, BF16"},
        Refused{"NegativeExtent", with_entry(entry("F32", "[-4]", "[0,16]")),
                "tensor w: shape is [-4], expected"},
        Refused{"FractionalExtent", with_entry(entry("F32", "[4.0]", "[0,16]")), "tensor w: shape is [4.0]"},
        Refused{"ExtentThatIsText", with_entry(entry("F32", "[\"4\"]", "[0,16]")),
                "tensor w: shape is [\"4\"]"},
        Refused{"ExtentBeyond64Bits", with_entry(entry("F32", "[18446744073709551616]", "[0,16]")),
                "tensor w: shape is [1.8446744073709552e+19]"},
        Refused{"ExtentOf64Bits", with_entry(entry("F32", "[18446744073709551615]", "[0,16]")),
                "tensor w: shape [18446744073709551615]: the size overflows"},
        Refused{"ShapeThatOverflows", with_entry(entry("F32", "[4294967296,4294967296]", "[0,16]")),
                "tensor w: shape [4294967296,4294967296]: the size overflows"},
        Refused{"NegativeOffset", with_entry(entry("F32", "[4]", "[-16,0]")),
                "data_offsets is [-16,0], expected"},
        Refused{"FractionalOffset", with_entry(entry("F32", "[4]", "[0,16.5]")), "data_offsets is [0,16.5]"},
        Refused{"ThreeOffsets", with_entry(entry("F32", "[4]", "[0,8,16]")), "expected two numbers"},
        Refused{"EndBeforeStart", with_entry(entry("F32", "[4]", "[16,0]")),
                "tensor w: data_offsets [16, 0]: the end is before the start"},
        Refused{"EndBeyondTheFile", with_entry(entry("F32", "[5]", "[0,20]")),
                "tensor w: data_offsets [0, 20] leave the file, which holds 16 bytes"},
        Refused{"EndNearTwoToThe64",
                with_entry(entry("F32", "[4]", "[18446744073709551600,18446744073709551615]")),
                "leave the file"},
        Refused{"SizeOtherThanItsDtype", with_entry(entry("BF16", "[4]", "[0,16]")),
                "tensor w: BF16 of shape [4] takes 8 bytes, but data_offsets hold 16"},
        Refused{"Overlap", with_two("[0,8]", "[4,12]", 12), "tensor b overlaps tensor a"},
        Refused{"SamePlace", with_two("[0,8]", "[0,8]", 8), "tensor b overlaps tensor a"},
        Refused{"Hole", with_two("[0,8]", "[12,20]", 20),
                "tensor b: a hole of 4 bytes between it and tensor a"},
        Refused{"HoleBeforeTheFirst", with_entry(entry("F32", "[3]", "[4,16]")),
                "tensor w: a hole of 4 bytes"},
        Refused{"TrailingBytes", with_two("[0,8]", "[8,16]", 17),
                "1 bytes behind tensor b belong to no tensor"},
        Refused{"DataWithoutTensors", safetensors_bytes("{}", "1234"), "4 bytes behind the header"},
        Refused{"MisalignedData", misaligned(), "not aligned to the 4 bytes of F32"}),
    [](const auto& test) { return test.param.name; });

/// "single" F32 [2, 3], "half" F16 [2], "brain" BF16 [2], an empty one and a scalar.
std::string sound_file() {
  GgufBytes data;
  for (const float value : {1.f, 2.f, 3.f, 4.f, 5.f, 6.f}) data.put(value);
  data.put<std::uint16_t>(0x3c00).put<std::uint16_t>(0xc000);
  data.put<std::uint16_t>(0x3f80).put<std::uint16_t>(0xc040);
  data.put(0.5f);
  return safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"single":)" + entry("F32", "[2,3]", "[0,24]") + R"(,"half":)" +
          entry("F16", "[2]", "[24,28]") + R"(,"brain":)" + entry("BF16", "[2]", "[28,32]") + R"(,"none":)" +
          entry("F32", "[0,7]", "[32,32]") + R"(,"scalar":)" + entry("F32", "[]", "[32,36]") + "}",
      data.bytes);
}

TEST(Safetensors, ReadsItsThreeTypes) {
  const TemporaryFile file(sound_file());
  const SafetensorsFile read(file.path());
  EXPECT_EQ(read.tensors().size(), 5u);
  std::array<float, 3> row{};
  dequantise_rows(read.tensors().at("single"), 1, 1, row.data());
  EXPECT_THAT(row, ElementsAre(4, 5, 6));
  std::array<float, 2> pair{};
  dequantise_rows(read.tensors().at("half"), 0, 1, pair.data());
  EXPECT_THAT(pair, ElementsAre(1, -2));
  dequantise_rows(read.tensors().at("brain"), 0, 1, pair.data());
  EXPECT_THAT(pair, ElementsAre(1, -3));
  EXPECT_EQ(read.tensors().at("none").element_count(), 0);
  EXPECT_EQ(read.tensors().at("scalar").element_count(), 1);
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string whole = sound_file();
  ASSERT_EQ(refusal(whole), "");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(refusal(whole.substr(0, length)), "") << "cut to " << length;
  }
}

TEST(Safetensors, NoSingleChangedByteCrashesIt) {
  EXPECT_GT(testing::refused_changes(sound_file(), refusal), 500);
}

TEST(Safetensors, RefusesDeepNesting) {
  const std::size_t depth = 200'000;
  EXPECT_THAT(
      refusal(safetensors_bytes(R"({"w":)" + std::string(depth, '[') + std::string(depth, ']') + "}", "")),
      HasSubstr("nested deeper than 64 after the key 'w'"));
}

/// A folder of files that goes away with its object.
class SafetensorsFolderTest : public ::testing::Test {
 protected:
  SafetensorsFolderTest() { fs::create_directories(folder_); }
  ~SafetensorsFolderTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  /// A file with tensors of two weights each.
  void write_tensors(const std::string& file, const std::vector<std::string>& names) {
    std::string header, data;
    for (const std::string& name : names) {
      const auto begin = data.size();
      data += std::string(8, name[0]);
      header += (header.empty() ? "{\"" : ",\"") + name + "\":" +
                entry("F32", "[2]", "[" + std::to_string(begin) + "," + std::to_string(data.size()) + "]");
    }
    write(file, safetensors_bytes(header + "}", data));
  }
  void write_index(const std::string& weight_map) {
    write("model.safetensors.index.json", R"({"metadata":{},"weight_map":)" + weight_map + "}");
  }
  std::string refusal() {
    const auto message = message_of<InputError>([&] { const SafetensorsFolder read(folder_); });
    EXPECT_THAT(message, AllOf(HasSubstr(folder_.string()), Not(HasSubstr("\n"))));
    return message;
  }

  fs::path folder_ = fs::path(::testing::TempDir()) /
                     ("tide_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(SafetensorsFolderTest, ReadsShardsAsOne) {
  write_tensors("one.safetensors", {"a", "b"});
  write_tensors("two.safetensors", {"c"});
  write_index(R"({"a":"one.safetensors","b":"one.safetensors","c":"two.safetensors"})");
  const SafetensorsFolder folder(folder_);
  EXPECT_THAT(safetensors_files(folder_), ElementsAre("one.safetensors", "two.safetensors"));
  const std::array<std::int64_t, 1> shape = {2};
  EXPECT_EQ(static_cast<char>(folder.tensor("c", shape).bytes[0]), 'c');
  const std::array<std::int64_t, 1> other = {3};
  EXPECT_THAT(message_of<InputError>([&] { folder.tensor("c", other); }),
              HasSubstr("two.safetensors: byte 64: tensor c: shape [3] expected, found [2]"));
  EXPECT_THAT(message_of<InputError>([&] { folder.tensor("d", other); }), HasSubstr("no tensor d"));
}

TEST_F(SafetensorsFolderTest, PrefersTheSingleFile) {
  write_tensors("model.safetensors", {"a"});
  write_index(R"({"a":"absent.safetensors"})");
  EXPECT_TRUE(SafetensorsFolder(folder_).has_tensor("a"));
}

TEST_F(SafetensorsFolderTest, WithoutWeightsIsRefused) {
  EXPECT_THAT(refusal(), HasSubstr("neither model.safetensors nor model.safetensors.index.json is there"));
}

TEST_F(SafetensorsFolderTest, WhoseIndexNamesAnAbsentFileIsRefused) {
  write_tensors("one.safetensors", {"a"});
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("tensor b: the folder has no file two.safetensors"));
}

TEST_F(SafetensorsFolderTest, WhoseIndexLeavesTheFolderIsRefused) {
  for (const char* path : {"../one.safetensors", "/etc/passwd", "x/../../one.safetensors", "..", ""}) {
    write_index(std::string(R"({"a":")") + path + R"("})");
    EXPECT_THAT(refusal(), HasSubstr("tensor a: '" + std::string(path) + "' is no file inside the folder"));
  }
}

TEST_F(SafetensorsFolderTest, WhoseIndexNamesATensorTwiceIsRefused) {
  write_tensors("one.safetensors", {"a"});
  write_index(R"({"a":"one.safetensors","a":"one.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("the key 'a' stands twice"));
}

TEST_F(SafetensorsFolderTest, WithATensorInTwoShardsIsRefused) {
  write_tensors("one.safetensors", {"a", "b"});
  write_tensors("two.safetensors", {"b"});
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("two.safetensors: tensor b is also in one.safetensors"));
}

TEST_F(SafetensorsFolderTest, WhoseShardLacksATensorIsRefused) {
  write_tensors("one.safetensors", {"a"});
  write_tensors("two.safetensors", {"b"});
  write_index(R"({"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("two.safetensors: tensor c is not in it"));
  write_index(R"({"a":"two.safetensors","b":"one.safetensors"})");
  EXPECT_THAT(refusal(), HasSubstr("two.safetensors: tensor a is not in it"));
}

TEST_F(SafetensorsFolderTest, WithAnUnsoundIndexIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"weight_map":[]})", "weight_map is [], expected an object"},
      {R"({"weight_map":{}})", "weight_map names no tensor"},
      {R"({"weight_map":{"a":3}})", "weight_map: a is 3, expected the name of a file"},
      {"{}", "weight_map is missing"},
      {"[1]", "an object expected, found [1]"},
      {"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"}};
  for (const auto& [index, message] : cases) {
    write("model.safetensors.index.json", index);
    EXPECT_THAT(refusal(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace tide
