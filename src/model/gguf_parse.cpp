#include "model/gguf_parse.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "model/gguf_types.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint64_t kMaxNameBytes = 65535;

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

std::string take_name(GgufCursor& cursor, std::string_view what) {
  const auto where = cursor.offset();
  auto name = cursor.take_string(what);
  if (name.empty() || name.size() > kMaxNameBytes) {
    cursor.fail_at(where, "{}: 1 to {} bytes expected, got {}", what, kMaxNameBytes, name.size());
  }
  return name;
}

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

/// a * b, refused when it does not fit 63 bits.
std::uint64_t checked_product(const GgufCursor& cursor, std::uint64_t where, std::uint64_t a, std::uint64_t b,
                              std::string_view what) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (b != 0 && a > kMax / b) cursor.fail_at(where, "{}: the size overflows 63 bits", what);
  return a * b;
}

/// What the directory says of a tensor before its data is found.
struct Entry {
  GgufTensor tensor;
  std::uint64_t where;         ///< of the entry in the file
  std::uint64_t offset_where;  ///< of its offset field
  std::uint64_t offset;        ///< from the beginning of the data
  std::uint64_t n_bytes;
};

/// The shape, outermost first. The file lists the innermost dimension first.
std::vector<std::int64_t> take_shape(GgufCursor& cursor, std::string_view what) {
  const auto where = cursor.offset();
  const auto n_dims = cursor.take<std::uint32_t>(what);
  if (n_dims < 1 || n_dims > 4) cursor.fail_at(where, "{}: 1 to 4 dimensions expected, got {}", what, n_dims);
  std::vector<std::int64_t> shape(n_dims);
  std::uint64_t elements = 1;
  for (auto dimension = shape.rbegin(); dimension != shape.rend(); ++dimension) {
    const auto dimension_at = cursor.offset();
    const auto extent = cursor.take<std::uint64_t>(what);
    if (extent == 0) cursor.fail_at(dimension_at, "{}: a dimension of 0", what);
    elements = checked_product(cursor, dimension_at, elements, extent, what);
    *dimension = static_cast<std::int64_t>(extent);
  }
  return shape;
}

/// Bytes of the tensor's data.
std::uint64_t data_bytes(const GgufCursor& cursor, std::uint64_t where, const GgufTensor& tensor,
                         const GgufLayout& layout, std::string_view what) {
  if (tensor.shape.back() % layout.block_elements != 0) {
    cursor.fail_at(where, "{}: rows of {} weights are no whole number of {} blocks of {}", what,
                   tensor.shape.back(), layout.name, layout.block_elements);
  }
  const auto blocks = static_cast<std::uint64_t>(tensor.element_count() / layout.block_elements);
  return checked_product(cursor, where, blocks, static_cast<std::uint64_t>(layout.block_bytes), what);
}

Entry take_entry(GgufCursor& cursor) {
  Entry entry{};
  entry.where = cursor.offset();
  entry.tensor.name = take_name(cursor, "a tensor's name");
  const auto what = fmt::format("tensor {}", printable(entry.tensor.name));
  entry.tensor.shape = take_shape(cursor, what);
  const auto type_at = cursor.offset();
  const auto type = cursor.take<std::uint32_t>(what);
  const GgufLayout* layout = gguf_layout(type);
  if (layout == nullptr) {
    cursor.fail_at(type_at, "{}: type {} is not supported; supported: {}", what, gguf_type_name(type),
                   supported_gguf_types());
  }
  entry.tensor.type = static_cast<GgufType>(type);
  entry.n_bytes = data_bytes(cursor, type_at, entry.tensor, *layout, what);
  entry.offset_where = cursor.offset();
  entry.offset = cursor.take<std::uint64_t>(what);
  return entry;
}

/// Where the data begins: the next multiple of `alignment` after the directory.
std::uint64_t data_begin(const GgufCursor& cursor, std::uint64_t alignment) {
  return (cursor.offset() + alignment - 1) / alignment * alignment;
}

void check_place(const GgufCursor& cursor, const Entry& entry, std::uint64_t begin, std::uint64_t alignment) {
  const auto name = printable(entry.tensor.name);
  if (entry.offset % alignment != 0) {
    cursor.fail_at(entry.offset_where, "tensor {}: offset {} is no multiple of the alignment {}", name,
                   entry.offset, alignment);
  }
  const std::uint64_t room = cursor.size() > begin ? cursor.size() - begin : 0;
  if (entry.offset > room || entry.n_bytes > room - entry.offset) {
    cursor.fail_at(entry.offset_where,
                   "tensor {}: {} bytes at offset {}, but the file holds {} bytes of data", name,
                   entry.n_bytes, entry.offset, room);
  }
}

void check_overlaps(const GgufCursor& cursor, const std::vector<Entry>& entries) {
  std::vector<const Entry*> by_offset;
  for (const auto& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < by_offset.size(); ++i) {
    const Entry& before = *by_offset[i - 1];
    const Entry& after = *by_offset[i];
    if (after.offset < before.offset + before.n_bytes) {
      cursor.fail_at(after.offset_where, "tensor {} overlaps tensor {}", printable(after.tensor.name),
                     printable(before.tensor.name));
    }
  }
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
    auto key = take_name(cursor, "a metadata key");
    if (metadata.contains(key)) cursor.fail_at(where, "metadata key {} appears twice", printable(key));
    offsets[key] = cursor.offset();
    auto value = take_value(cursor, printable(key));
    metadata.emplace(std::move(key), std::move(value));
  }
  return metadata;
}

std::map<std::string, GgufTensor> parse_tensors(GgufCursor& cursor, std::uint64_t count,
                                                std::uint64_t alignment, std::span<const std::byte> file) {
  std::vector<Entry> entries;
  entries.reserve(count);
  std::set<std::string> names;
  for (std::uint64_t i = 0; i < count; ++i) {
    entries.push_back(take_entry(cursor));
    const Entry& entry = entries.back();
    if (!names.insert(entry.tensor.name).second) {
      cursor.fail_at(entry.where, "tensor {} appears twice", printable(entry.tensor.name));
    }
  }
  const auto begin = data_begin(cursor, alignment);
  for (const auto& entry : entries) check_place(cursor, entry, begin, alignment);
  check_overlaps(cursor, entries);
  std::map<std::string, GgufTensor> tensors;
  for (auto& entry : entries) {
    entry.tensor.bytes = file.subspan(begin + entry.offset, entry.n_bytes);
    auto name = entry.tensor.name;
    tensors.emplace(std::move(name), std::move(entry.tensor));
  }
  return tensors;
}

}  // namespace tide
