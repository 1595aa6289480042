#include <utility>
#include <vector>

#include "model/gguf_parse.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"

// The least that an entry can take: what bounds the counts by the size of the file.
constexpr std::uint64_t kLeastMetadataBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

/// Metadata value types by their number in the file.
enum class ValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

bool take_bool(GgufCursor& cursor, std::string_view what) {
  const auto where = cursor.offset();
  const auto value = cursor.take<std::uint8_t>(what);
  if (value > 1) cursor.fail_at(where, "{}: a boolean is 0 or 1, got {}", what, value);
  return value == 1;
}

/// `count` numbers of type T, widened to Wide.
template <typename T, typename Wide>
std::vector<Wide> take_numbers(GgufCursor& cursor, std::uint64_t where, std::uint64_t count,
                               std::string_view what) {
  cursor.check_count(where, count, what, sizeof(T));
  std::vector<Wide> values(count);
  for (auto& value : values) value = static_cast<Wide>(cursor.take<T>(what));
  return values;
}

std::vector<std::string> take_strings(GgufCursor& cursor, std::uint64_t where, std::uint64_t count,
                                      std::string_view what) {
  cursor.check_count(where, count, what, sizeof(std::uint64_t));
  std::vector<std::string> values(count);
  for (auto& value : values) value = cursor.take_string(what);
  return values;
}

std::vector<bool> take_bools(GgufCursor& cursor, std::uint64_t where, std::uint64_t count,
                             std::string_view what) {
  cursor.check_count(where, count, what, 1);
  std::vector<bool> values(count);
  for (std::uint64_t i = 0; i < count; ++i) values[i] = take_bool(cursor, what);
  return values;
}

GgufValue take_array(GgufCursor& cursor, std::string_view what) {
  const auto where = cursor.offset();
  const auto type = cursor.take<std::uint32_t>(what);
  const auto count_at = cursor.offset();
  const auto count = cursor.take<std::uint64_t>(what);
  switch (static_cast<ValueType>(type)) {
    case ValueType::u8:
      return take_numbers<std::uint8_t, std::uint64_t>(cursor, count_at, count, what);
    case ValueType::u16:
      return take_numbers<std::uint16_t, std::uint64_t>(cursor, count_at, count, what);
    case ValueType::u32:
      return take_numbers<std::uint32_t, std::uint64_t>(cursor, count_at, count, what);
    case ValueType::u64:
      return take_numbers<std::uint64_t, std::uint64_t>(cursor, count_at, count, what);
    case ValueType::i8:
      return take_numbers<std::int8_t, std::int64_t>(cursor, count_at, count, what);
    case ValueType::i16:
      return take_numbers<std::int16_t, std::int64_t>(cursor, count_at, count, what);
    case ValueType::i32:
      return take_numbers<std::int32_t, std::int64_t>(cursor, count_at, count, what);
    case ValueType::i64:
      return take_numbers<std::int64_t, std::int64_t>(cursor, count_at, count, what);
    case ValueType::f32:
      return take_numbers<float, double>(cursor, count_at, count, what);
    case ValueType::f64:
      return take_numbers<double, double>(cursor, count_at, count, what);
    case ValueType::boolean:
      return take_bools(cursor, count_at, count, what);
    case ValueType::string:
      return take_strings(cursor, count_at, count, what);
    case ValueType::array:
      cursor.fail_at(where, "{}: an array of arrays is not supported", what);
  }
  cursor.fail_at(where, "{}: array element type {}: 0 to 12 expected", what, type);
}

GgufValue take_value(GgufCursor& cursor, std::string_view what) {
  const auto where = cursor.offset();
  const auto type = cursor.take<std::uint32_t>(what);
  switch (static_cast<ValueType>(type)) {
    case ValueType::u8:
      return std::uint64_t{cursor.take<std::uint8_t>(what)};
    case ValueType::u16:
      return std::uint64_t{cursor.take<std::uint16_t>(what)};
    case ValueType::u32:
      return std::uint64_t{cursor.take<std::uint32_t>(what)};
    case ValueType::u64:
      return cursor.take<std::uint64_t>(what);
    case ValueType::i8:
      return std::int64_t{cursor.take<std::int8_t>(what)};
    case ValueType::i16:
      return std::int64_t{cursor.take<std::int16_t>(what)};
    case ValueType::i32:
      return std::int64_t{cursor.take<std::int32_t>(what)};
    case ValueType::i64:
      return cursor.take<std::int64_t>(what);
    case ValueType::f32:
      return double{cursor.take<float>(what)};
    case ValueType::f64:
      return cursor.take<double>(what);
    case ValueType::boolean:
      return take_bool(cursor, what);
    case ValueType::string:
      return cursor.take_string(what);
    case ValueType::array:
      return take_array(cursor, what);
  }
  cursor.fail_at(where, "{}: value type {}: 0 to 12 expected", what, type);
}

}  // namespace

GgufHeader parse_header(GgufCursor& cursor) {
  if (cursor.take<std::uint32_t>("the magic number") != kMagic) {
    cursor.fail_at(0, "not a GGUF file: it does not begin with the letters GGUF");
  }
  const auto version = cursor.take<std::uint32_t>("the version");
  if (version == 0x02000000 || version == 0x03000000) {
    cursor.fail_at(4, "a big-endian GGUF file; little-endian expected");
  }
  if (version != 2 && version != 3) cursor.fail_at(4, "GGUF version {}; 2 or 3 expected", version);
  const auto n_tensors = cursor.take_count("tensors", kLeastTensorBytes);
  const auto n_metadata = cursor.take_count("metadata keys", kLeastMetadataBytes);
  return {n_tensors, n_metadata};
}

std::map<std::string, GgufValue> parse_metadata(GgufCursor& cursor, std::uint64_t count,
                                                std::map<std::string, std::uint64_t>& offsets) {
  std::map<std::string, GgufValue> metadata;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto where = cursor.offset();
    auto key = cursor.take_name("a metadata key");
    if (metadata.contains(key)) cursor.fail_at(where, "metadata key {} appears twice", printable(key));
    offsets[key] = cursor.offset();
    auto value = take_value(cursor, printable(key));
    metadata.emplace(std::move(key), std::move(value));
  }
  return metadata;
}

}  // namespace tide
