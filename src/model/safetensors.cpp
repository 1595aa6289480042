#include "model/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "model/json_file.h"
#include "model/lfs_pointer.h"
#include "model/printable.h"

namespace tide {

namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own bound

struct Dtype {
  std::string_view name;
  TensorType type;
  std::uint64_t bytes;
};
constexpr std::array<Dtype, 3> kDtypes = {
    {{"F32", TensorType::f32, 4}, {"F16", TensorType::f16, 2}, {"BF16", TensorType::bf16, 2}}};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The header's text; what lies behind it is data.
std::string_view header_of(const MappedFile& file) {
  const std::string path = file.path().string();
  const std::string_view bytes = text_of(file.bytes());
  refuse_lfs_pointer(bytes, path);
  if (bytes.size() < kLengthBytes) {
    fail_input("{}: {} bytes, expected a safetensors file, which begins with 8 bytes of header length", path,
               bytes.size());
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length == 0) fail_input("{}: byte 0: the header's length is 0", path);
  if (length > kMaxHeaderBytes) {
    fail_input("{}: byte 0: the header's length is {}, above the format's 100 MB: no safetensors file", path,
               length);
  }
  if (length > bytes.size() - kLengthBytes) {
    fail_input("{}: byte 0: a header of {} bytes, but only {} follow", path, length,
               bytes.size() - kLengthBytes);
  }
  return bytes.substr(kLengthBytes, length);
}

/// What the header says of a tensor. begin and end count from the first byte behind the header.
struct Entry {
  StoredTensor tensor;
  std::uint64_t begin, end;
};

/// Reads one tensor's entry; failures begin with "FILE: tensor NAME: ".
class EntryReader {
 public:
  EntryReader(const std::string& file, const std::string& name, const json& value)
      : name_(name), fields_(fmt::format("{}: tensor {}", file, printable(name)), value) {}

  /// data_at: of the first byte behind the header, in the file; data_bytes: all that follow.
  Entry read(std::uint64_t data_at, std::uint64_t data_bytes) const {
    const Dtype& dtype = this->dtype();
    Entry entry{{name_, dtype.type, {}, {}}, 0, 0};
    std::uint64_t bytes = dtype.bytes;
    for (const json& extent : fields_.array("shape")) {
      bytes = product(bytes, whole_number("shape", extent));
      entry.tensor.shape.push_back(extent.get<std::int64_t>());
    }
    std::tie(entry.begin, entry.end) = offsets(data_bytes);
    if (entry.end - entry.begin != bytes) {
      fail_input("{}: {} of shape {} takes {} bytes, but data_offsets hold {}", fields_.source(), dtype.name,
                 shape_text(entry.tensor.shape), bytes, entry.end - entry.begin);
    }
    if ((data_at + entry.begin) % dtype.bytes != 0) {
      fail_input("{}: its data begin at byte {}, not aligned to the {} bytes of {}", fields_.source(),
                 data_at + entry.begin, dtype.bytes, dtype.name);
    }
    return entry;
  }

 private:
  const Dtype& dtype() const {
    const std::string& name = fields_.text("dtype");
    for (const Dtype& dtype : kDtypes) {
      if (dtype.name == name) return dtype;
    }
    fail_input("{}: dtype {} is not supported; supported: F32, F16, BF16", fields_.source(), printable(name));
  }

  std::uint64_t whole_number(const char* key, const json& value) const {
    if (!value.is_number_unsigned()) fail_number(key);
    return value.get<std::uint64_t>();
  }
  [[noreturn]] void fail_number(const char* key) const { fields_.fail(key, "whole numbers from 0 on"); }

  /// Refused when it does not fit 63 bits.
  std::uint64_t product(std::uint64_t a, std::uint64_t b) const {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (b > kMax || (b != 0 && a > kMax / b)) {
      fail_input("{}: shape {}: the size overflows 63 bits", fields_.source(),
                 printable(fields_.array("shape").dump()));
    }
    return a * b;
  }

  std::pair<std::uint64_t, std::uint64_t> offsets(std::uint64_t data_bytes) const {
    const json& pair = fields_.array("data_offsets");
    if (pair.size() != 2) fields_.fail("data_offsets", "two numbers, begin and end");
    const auto begin = whole_number("data_offsets", pair[0]), end = whole_number("data_offsets", pair[1]);
    if (end < begin) {
      fail_input("{}: data_offsets [{}, {}]: the end is before the start", fields_.source(), begin, end);
    }
    if (end > data_bytes) {
      fail_input("{}: data_offsets [{}, {}] leave the file, which holds {} bytes of data", fields_.source(),
                 begin, end, data_bytes);
    }
    return {begin, end};
  }

  const std::string& name_;
  JsonFields fields_;
};

void check_metadata(const std::string& file, const json& metadata) {
  const JsonFields fields(file + ": __metadata__", metadata);
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) fields.fail(key, "a string");
  }
}

/// The tensors lie one behind the other, from the first byte of data to the last.
void check_cover(const std::string& file, std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  std::string before = "the header";
  for (const Entry& entry : entries) {
    const std::string name = printable(entry.tensor.name);
    if (entry.begin < covered) fail_input("{}: tensor {} overlaps {}", file, name, before);
    if (entry.begin > covered) {
      fail_input("{}: tensor {}: a hole of {} bytes between it and {}", file, name, entry.begin - covered,
                 before);
    }
    covered = entry.end;
    before = "tensor " + name;
  }
  if (covered != data_bytes) {
    fail_input("{}: {} bytes behind {} belong to no tensor", file, data_bytes - covered, before);
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string name = path.string();
  const std::string_view header = header_of(file_);
  const JsonFields fields(name + ": header", parse_json(header, name + ": header"));
  const std::uint64_t data_at = kLengthBytes + header.size(), data_bytes = file_.bytes().size() - data_at;
  std::vector<Entry> entries;
  for (const auto& [key, value] : fields.members().items()) {
    if (key == "__metadata__") {
      check_metadata(name, value);
    } else {
      entries.push_back(EntryReader(name, key, value).read(data_at, data_bytes));
    }
  }
  check_cover(name, entries, data_bytes);
  for (Entry& entry : entries) {
    entry.tensor.bytes = file_.bytes().subspan(data_at + entry.begin, entry.end - entry.begin);
    tensors_.emplace(entry.tensor.name, entry.tensor);
  }
}

}  // namespace tide
