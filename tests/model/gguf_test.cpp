#include "model/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "tests/model/gguf_builder.h"
#include "tests/support/checkpoint_checks.h"

namespace tide {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Why `bytes` is refused; empty: it is not.
std::string refusal(const std::string& bytes) {
  const TemporaryFile file(bytes);
  return message_of<InputError>([&] { const GgufFile gguf(file.path()); });
}

/// One of everything: metadata of every type, three tensors, the last byte of the file used.
std::string sound_file(std::uint32_t version = 3) {
  GgufBytes b;
  b.header(3, 16, version);
  b.str("u8").u32(0).put<std::uint8_t>(200);
  b.str("i8").u32(1).put<std::int8_t>(-5);
  b.str("u16").u32(2).put<std::uint16_t>(60000);
  b.str("i16").u32(3).put<std::int16_t>(-30000);
  b.meta_u32("u32", 4000000000u);
  b.str("i32").u32(5).put<std::int32_t>(-7);
  b.str("f32").u32(6).put(1.5f);
  b.str("bool").u32(7).put<std::uint8_t>(1);
  b.meta_str("text", "grün");
  b.str("u64").u32(10).u64(1u << 20);
  b.str("i64").u32(11).put<std::int64_t>(-9);
  b.str("f64").u32(12).put(0.1);
  b.str("types").u32(9).u32(5).u64(3).put<std::int32_t>(1).put<std::int32_t>(3).put<std::int32_t>(4);
  b.str("names").u32(9).u32(8).u64(2).str("a").str("bc");
  b.str("flags").u32(9).u32(7).u64(2).put<std::uint8_t>(0).put<std::uint8_t>(1);
  b.meta_u32("general.alignment", 64);
  b.tensor("vector", {3}, 0, 0).tensor("matrix", {32, 2}, 8, 64).tensor("halves", {2, 1, 2}, 1, 192);
  b.pad(64).put(1.0f).put(2.0f).put(3.0f).pad(64);
  return b.raw(std::string(2 * 34, '\1')).pad(64).raw(std::string(8, '\2')).bytes;
}

/// One F32 tensor of 4 weights, with the given entry in place of a sound one.
std::string with_tensor(std::initializer_list<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset,
                        std::size_t data_bytes = 16) {
  return GgufBytes()
      .header(1, 0)
      .tensor("w", dims, type, offset)
      .pad(32)
      .raw(std::string(data_bytes, '\0'))
      .bytes;
}

std::string with_metadata(const GgufBytes& metadata) {
  return GgufBytes().header(0, 1).raw(metadata.bytes).raw(std::string(64, '\0')).bytes;
}

TEST(Gguf, ReadsEveryMetadataType) {
  for (const std::uint32_t version : {2u, 3u}) {
    const TemporaryFile file(sound_file(version));
    const GgufFile gguf(file.path());
    EXPECT_EQ(gguf.metadata().size(), 16u);
    EXPECT_EQ(gguf.integer("u8"), 200);
    EXPECT_EQ(gguf.integer("i8"), -5);
    EXPECT_EQ(gguf.integer("u16"), 60000);
    EXPECT_EQ(gguf.integer("i16"), -30000);
    EXPECT_EQ(gguf.integer("u32"), 4000000000);
    EXPECT_EQ(gguf.integer("i32"), -7);
    EXPECT_EQ(gguf.integer("u64"), 1 << 20);
    EXPECT_EQ(gguf.integer("i64"), -9);
    EXPECT_EQ(gguf.number("f32"), 1.5);
    EXPECT_EQ(gguf.number("f64"), 0.1);
    EXPECT_TRUE(gguf.boolean("bool"));
    EXPECT_EQ(gguf.text("text"), "grün");
    EXPECT_THAT(gguf.integers("types"), ElementsAre(1, 3, 4));
    EXPECT_THAT(gguf.texts("names"), ElementsAre("a", "bc"));
    EXPECT_THAT(std::get<std::vector<bool>>(gguf.metadata().at("flags")), ElementsAre(false, true));
  }
}

TEST(Gguf, ReadsTensorsOutermostDimensionFirst) {
  const TemporaryFile file(sound_file());
  const GgufFile gguf(file.path());
  EXPECT_THAT(gguf.tensors().at("matrix").shape, ElementsAre(2, 32));
  EXPECT_THAT(gguf.tensors().at("halves").shape, ElementsAre(2, 1, 2));
  EXPECT_EQ(gguf.tensors().at("matrix").type, TensorType::q8_0);
  std::array<float, 3> weights{};
  dequantise_rows(gguf.tensor("vector", std::array<std::int64_t, 1>{3}), 0, 1, weights.data());
  EXPECT_THAT(weights, ElementsAre(1.0f, 2.0f, 3.0f));
}

TEST(Gguf, EveryTruncationIsRefused) {
  const std::string whole = sound_file();
  ASSERT_EQ(refusal(whole), "");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(refusal(whole.substr(0, length)), HasSubstr("byte ")) << "cut to " << length;
  }
}

TEST(Gguf, NoSingleChangedByteCrashesIt) { EXPECT_GT(testing::refused_changes(sound_file(), refusal), 500); }

TEST(Gguf, RefusesForeignFile) {
  EXPECT_THAT(refusal("PK\3\4 and more"), HasSubstr("byte 0: not a GGUF file"));
}

TEST(Gguf, RefusesAbsentFile) {
  EXPECT_THAT(message_of<InputError>([] { const GgufFile gguf("/no/such.gguf"); }),
              HasSubstr("/no/such.gguf"));
}

TEST(Gguf, RefusesFilesTooShortForAHeader) {
  EXPECT_THAT(refusal(""),
              HasSubstr("byte 0: the file ends inside the magic number: 4 bytes needed, 0 left"));
  EXPECT_THAT(refusal("GG"),
              HasSubstr("byte 0: the file ends inside the magic number: 4 bytes needed, 2 left"));
  EXPECT_THAT(refusal("GGUF"), HasSubstr("byte 4: the file ends inside the version: 4 bytes needed, 0 left"));
  EXPECT_THAT(refusal("GGUF\3\1"), HasSubstr("byte 4: the file ends inside the version"));
}

TEST(Gguf, RefusesOtherVersions) {
  for (const std::uint32_t version : {0u, 1u, 4u, ~0u}) {
    EXPECT_THAT(refusal(GgufBytes().header(0, 0, version).bytes),
                HasSubstr(fmt::format("byte 4: GGUF version {}; 2 or 3 expected", version)));
  }
  EXPECT_THAT(refusal(GgufBytes().header(0, 0, 0x03000000).bytes),
              HasSubstr("byte 4: a big-endian GGUF file"));
}

TEST(Gguf, RefusesCountsBeyondTheFile) {
  EXPECT_THAT(refusal(GgufBytes().header(~0ull, 0).bytes), HasSubstr("byte 8: 18446744073709551615 tensors"));
  EXPECT_THAT(refusal(GgufBytes().header(0, 1ull << 40).bytes),
              HasSubstr("byte 16: 1099511627776 metadata keys"));
}

TEST(Gguf, RefusesStringBeyondTheFile) {
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("key").u32(8).u64(~0ull))),
              HasSubstr("byte 39: key: a string of 18446744073709551615 bytes"));
  EXPECT_THAT(refusal(with_metadata(GgufBytes().u64(1000))),
              HasSubstr("byte 24: a metadata key: a string of 1000"));
}

TEST(Gguf, RefusesArrayBeyondTheFile) {
  const auto array = [](std::uint32_t type, std::uint64_t count) {
    return refusal(with_metadata(GgufBytes().str("key").u32(9).u32(type).u64(count)));
  };
  for (const std::uint32_t type : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 10u, 11u, 12u}) {
    EXPECT_THAT(array(type, 1ull << 61), HasSubstr("byte 43: 2305843009213693952 key")) << type;
  }
}

TEST(Gguf, RefusesNestedArray) {
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("key").u32(9).u32(9).u64(1))),
              HasSubstr("byte 39: key: an array of arrays is not supported"));
}

TEST(Gguf, RefusesUnknownMetadataTypes) {
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("key").u32(13))),
              HasSubstr("byte 35: key: value type 13"));
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("key").u32(9).u32(77).u64(1))),
              HasSubstr("byte 39: key: array element type 77"));
}

TEST(Gguf, RefusesBooleanOtherThanZeroAndOne) {
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("key").u32(7).put<std::uint8_t>(2))),
              HasSubstr("byte 39: key: a boolean is 0 or 1, got 2"));
}

TEST(Gguf, RefusesEmptyAndRepeatedKeys) {
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("").u32(4).u32(1))),
              HasSubstr("byte 24: a metadata key"));
  EXPECT_THAT(refusal(GgufBytes().header(0, 2).meta_u32("key", 1).meta_u32("key", 1).bytes),
              HasSubstr("byte 43: metadata key key appears twice"));
}

TEST(Gguf, RefusesAlignmentThatIsNoPowerOfTwo) {
  for (const std::uint32_t alignment : {0u, 24u}) {
    EXPECT_THAT(refusal(with_metadata(GgufBytes().meta_u32("general.alignment", alignment))),
                HasSubstr("byte 49: general.alignment: a power of two"));
  }
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("general.alignment").u32(10).u64(1ull << 32))),
              HasSubstr("general.alignment: a power of two of 32 bits expected, got 4294967296"));
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("general.alignment").u32(5).put(-32))),
              HasSubstr("general.alignment: a power of two of 32 bits expected, got -32"));
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str("general.alignment").u32(10).u64(~0ull))),
              HasSubstr("general.alignment: 18446744073709551615 does not fit 63 bits"));
  EXPECT_THAT(refusal(with_metadata(GgufBytes().meta_str("general.alignment", "32"))),
              HasSubstr("general.alignment: an integer expected, found a string"));
}

TEST(Gguf, RefusesWrongNumberOfDimensions) {
  EXPECT_THAT(refusal(with_tensor({}, 0, 0)),
              HasSubstr("byte 33: tensor w: 1 to 4 dimensions expected, got 0"));
  EXPECT_THAT(refusal(with_tensor({1, 1, 1, 1, 4}, 0, 0)), HasSubstr("1 to 4 dimensions expected, got 5"));
}

TEST(Gguf, RefusesDimensionOfZero) {
  EXPECT_THAT(refusal(with_tensor({4, 0}, 0, 0)), HasSubstr("byte 45: tensor w: a dimension of 0"));
}

TEST(Gguf, RefusesSizesThatOverflow) {
  EXPECT_THAT(refusal(with_tensor({1ull << 32, 1ull << 32}, 0, 0)),
              HasSubstr("byte 45: tensor w: the size overflows"));
  EXPECT_THAT(refusal(with_tensor({~0ull}, 0, 0)), HasSubstr("byte 37: tensor w: the size overflows"));
  EXPECT_THAT(refusal(with_tensor({1ull << 62}, 0, 0)), HasSubstr("tensor w: the size overflows"));
}

TEST(Gguf, RefusesUnsupportedTypeByName) {
  EXPECT_THAT(refusal(with_tensor({256}, 10, 0)),
              HasSubstr("tensor w: type Q2_K is not supported; supported: F32, F16, BF16, Q8_0, Q4_0, Q4_1, "
                        "Q5_0, Q5_1, Q4_K, Q5_K, Q6_K"));
  EXPECT_THAT(refusal(with_tensor({4}, 4, 0)), HasSubstr("type unknown type 4 is not supported"));
  EXPECT_THAT(refusal(with_tensor({4}, 999, 0)), HasSubstr("type unknown type 999 is not supported"));
}

TEST(Gguf, RefusesRowsOfPartialBlocks) {
  EXPECT_THAT(refusal(with_tensor({16, 2}, 8, 0, 34)),
              HasSubstr("rows of 16 weights are no whole number of Q8_0"));
  for (const std::uint32_t type : {12u, 13u, 14u}) {
    EXPECT_THAT(refusal(with_tensor({128, 2}, type, 0, 210)),
                HasSubstr("rows of 128 weights are no whole number of Q"))
        << type;
    EXPECT_THAT(refusal(with_tensor({128, 2}, type, 0, 210)), HasSubstr("_K blocks of 256")) << type;
  }
}

TEST(Gguf, RefusesMisalignedOffset) {
  EXPECT_THAT(refusal(with_tensor({4}, 0, 8, 64)),
              HasSubstr("byte 49: tensor w: offset 8 is no multiple of"));
}

TEST(Gguf, RefusesDataOutsideTheFile) {
  EXPECT_EQ(refusal(with_tensor({4}, 0, 0)), "");
  EXPECT_THAT(refusal(with_tensor({5}, 0, 0)),
              HasSubstr("byte 49: tensor w: 20 bytes at offset 0, but the file holds 16"));
  EXPECT_THAT(refusal(with_tensor({4}, 0, 32)), HasSubstr("16 bytes at offset 32"));
  EXPECT_THAT(refusal(with_tensor({4}, 0, ~0ull - 31)), HasSubstr("at offset 18446744073709551584"));
}

TEST(Gguf, RefusesPaddingBeyondTheFile) {
  GgufBytes b;
  b.header(1, 1).meta_u32("general.alignment", 1u << 31).tensor("w", {4}, 0, 0).raw(std::string(64, '\0'));
  EXPECT_THAT(refusal(b.bytes),
              HasSubstr("tensor w: 16 bytes at offset 0, but the file holds 0 bytes of data"));
}

TEST(Gguf, RefusesNamesTooLong) {
  const std::string name(65536, 'n');
  EXPECT_THAT(refusal(with_metadata(GgufBytes().str(name).u32(4).u32(1))),
              HasSubstr("byte 24: a metadata key: 1 to 65535 bytes expected, got 65536"));
  EXPECT_THAT(
      refusal(GgufBytes().header(1, 0).tensor(name, {4}, 0, 0).pad(32).raw(std::string(16, '\0')).bytes),
      HasSubstr("byte 24: a tensor's name: 1 to 65535 bytes expected, got 65536"));
}

TEST(Gguf, RefusesOverlappingTensors) {
  GgufBytes b;
  b.header(2, 0).tensor("first", {16}, 0, 0).tensor("second", {4}, 0, 32).pad(32).raw(std::string(96, '\0'));
  EXPECT_THAT(refusal(b.bytes), HasSubstr("tensor second overlaps tensor first"));
}

TEST(Gguf, RefusesRepeatedTensor) {
  GgufBytes b;
  b.header(2, 0).tensor("w", {4}, 0, 0).tensor("w", {4}, 0, 32).pad(32).raw(std::string(96, '\0'));
  EXPECT_THAT(refusal(b.bytes), HasSubstr("byte 57: tensor w appears twice"));
}

TEST(Gguf, MessagesStayOnOneLine) {
  const auto message = refusal(with_metadata(GgufBytes().str("a\nb\xff").u32(13)));
  EXPECT_THAT(message, HasSubstr("a?b\xEF\xBF\xBD: value type 13"));
}

TEST(Gguf, NamesMissingAndMistypedKeys) {
  const TemporaryFile file(sound_file());
  const GgufFile gguf(file.path());
  const auto message = [&](auto work) { return message_of<InputError>(work); };
  EXPECT_THAT(message([&] { gguf.integer("llama.block_count"); }),
              HasSubstr("no metadata key llama.block_count"));
  EXPECT_THAT(message([&] { gguf.integer("text"); }), HasSubstr("text: an integer expected, found a string"));
  EXPECT_THAT(message([&] { gguf.number("u32"); }),
              HasSubstr("u32: a floating-point number expected, found an integer"));
  EXPECT_THAT(message([&] { gguf.text("bool"); }), HasSubstr("bool: a string expected, found a boolean"));
  EXPECT_THAT(message([&] { gguf.texts("types"); }),
              HasSubstr("types: an array of strings expected, found an array of integers"));
  EXPECT_THAT(message([&] { gguf.integers("names"); }), HasSubstr("names: an array of integers expected"));
  EXPECT_THAT(message([&] { gguf.numbers("types"); }),
              HasSubstr("types: an array of floating-point numbers expected, found an array of integers"));
  EXPECT_THAT(message([&] { gguf.texts("absent"); }), HasSubstr("no metadata key absent"));
  EXPECT_THAT(message([&] { gguf.boolean("f32"); }), HasSubstr("f32: a boolean expected, found a number"));
  EXPECT_THAT(message([&] { gguf.boolean("f32"); }), HasSubstr("byte "));
}

TEST(Gguf, NamesMissingTensorAndOtherShape) {
  const TemporaryFile file(sound_file());
  const GgufFile gguf(file.path());
  const std::array<std::int64_t, 2> shape = {32, 2};
  EXPECT_THAT(message_of<InputError>([&] { gguf.tensor("absent", shape); }), HasSubstr("no tensor absent"));
  EXPECT_THAT(message_of<InputError>([&] { gguf.tensor("matrix", shape); }),
              HasSubstr("tensor matrix: shape [32, 2] expected, found [2, 32]"));
}

}  // namespace
}  // namespace tide
