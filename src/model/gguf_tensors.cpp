#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "model/gguf_parse.h"
#include "model/gguf_types.h"
#include "model/printable.h"

namespace tide {

namespace {

/// a * b, refused when it does not fit 63 bits.
std::uint64_t checked_product(const GgufCursor& cursor, std::uint64_t where, std::uint64_t a, std::uint64_t b,
                              std::string_view what) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (b != 0 && a > kMax / b) cursor.fail_at(where, "{}: the size overflows 63 bits", what);
  return a * b;
}

/// What the directory says of a tensor before its data is found.
struct Entry {
  StoredTensor tensor;
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
std::uint64_t data_bytes(const GgufCursor& cursor, std::uint64_t where, const StoredTensor& tensor,
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
  entry.tensor.name = cursor.take_name("a tensor's name");
  const auto what = fmt::format("tensor {}", printable(entry.tensor.name));
  entry.tensor.shape = take_shape(cursor, what);
  const auto type_at = cursor.offset();
  const auto type = cursor.take<std::uint32_t>(what);
  const GgufLayout* layout = gguf_layout(type);
  if (layout == nullptr) {
    cursor.fail_at(type_at, "{}: type {} is not supported; supported: {}", what, gguf_type_name(type),
                   supported_gguf_types());
  }
  entry.tensor.type = static_cast<TensorType>(type);
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

std::map<std::string, StoredTensor> parse_tensors(GgufCursor& cursor, std::uint64_t count,
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
  std::map<std::string, StoredTensor> tensors;
  for (auto& entry : entries) {
    entry.tensor.bytes = file.subspan(begin + entry.offset, entry.n_bytes);
    auto name = entry.tensor.name;
    tensors.emplace(std::move(name), std::move(entry.tensor));
  }
  return tensors;
}

}  // namespace tide
