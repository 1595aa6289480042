#include "model/gguf.h"

#include <bit>
#include <limits>

#include "base/error.h"
#include "model/gguf_cursor.h"
#include "model/gguf_parse.h"
#include "model/gguf_split.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr const char* kAlignmentKey = "general.alignment";
constexpr std::uint64_t kDefaultAlignment = 32;

/// What a value holds, in the words of an error message; the order of GgufValue's alternatives.
const char* kind_of(const GgufValue& value) {
  constexpr const char* kKinds[] = {"an integer",
                                    "an integer",
                                    "a number",
                                    "a boolean",
                                    "a string",
                                    "an array of integers",
                                    "an array of integers",
                                    "an array of numbers",
                                    "an array of booleans",
                                    "an array of strings"};
  static_assert(std::size(kKinds) == std::variant_size_v<GgufValue>);
  return kKinds[value.index()];
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) : GgufFile(path, Alone{}) { add_shards(); }

GgufFile::GgufFile(const std::filesystem::path& path, Alone) : file_(path) {
  GgufCursor cursor(path.string(), file_.bytes());
  const GgufHeader header = parse_header(cursor);
  metadata_ = parse_metadata(cursor, header.n_metadata, offsets_);
  std::uint64_t alignment = kDefaultAlignment;
  if (has(kAlignmentKey)) {
    const std::int64_t value = integer(kAlignmentKey);
    if (value <= 0 || value > std::numeric_limits<std::uint32_t>::max() ||
        !std::has_single_bit(static_cast<std::uint64_t>(value))) {
      cursor.fail_at(offsets_.at(kAlignmentKey), "{}: a power of two of 32 bits expected, got {}",
                     kAlignmentKey, value);
    }
    alignment = static_cast<std::uint64_t>(value);
  }
  tensors_ = parse_tensors(cursor, header.n_tensors, alignment, file_.bytes());
}

void GgufFile::add_shards() {
  const GgufSplit first = read_split(*this);
  if (first.count == 1) return;
  const auto paths = shard_paths(path(), first);
  for (std::size_t number = 1; number < paths.size(); ++number) {
    const GgufFile& shard = further_.emplace_back(GgufFile(paths[number], Alone{}));
    check_shard(shard, static_cast<std::int64_t>(number), first);
    for (const auto& [name, tensor] : shard.tensors_) {
      if (!tensors_.emplace(name, tensor).second) {
        fail_input("{}: tensor {} is also in an earlier shard", shard.place_of(tensor), printable(name));
      }
    }
  }
  check_tensor_count(*this, first);
}

std::vector<std::filesystem::path> GgufFile::files() const {
  std::vector<std::filesystem::path> paths = {path()};
  for (const GgufFile& shard : further_) paths.push_back(shard.path());
  return paths;
}

const GgufValue& GgufFile::value(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) fail_input("{}: no metadata key {}", path().string(), key);
  return found->second;
}

void GgufFile::fail_kind(const std::string& key, const char* expected) const {
  fail_input("{}: byte {}: {}: {} expected, found {}", path().string(), offsets_.at(key), key, expected,
             kind_of(value(key)));
}

std::int64_t GgufFile::integer(const std::string& key) const {
  const GgufValue& found = value(key);
  if (const auto* number = std::get_if<std::int64_t>(&found)) return *number;
  const auto* number = std::get_if<std::uint64_t>(&found);
  if (number == nullptr) fail_kind(key, "an integer");
  if (*number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    fail_input("{}: byte {}: {}: {} does not fit 63 bits", path().string(), offsets_.at(key), key, *number);
  }
  return static_cast<std::int64_t>(*number);
}

double GgufFile::number(const std::string& key) const {
  const auto* found = std::get_if<double>(&value(key));
  if (found == nullptr) fail_kind(key, "a floating-point number");
  return *found;
}

bool GgufFile::boolean(const std::string& key) const {
  const auto* found = std::get_if<bool>(&value(key));
  if (found == nullptr) fail_kind(key, "a boolean");
  return *found;
}

const std::string& GgufFile::text(const std::string& key) const {
  const auto* found = std::get_if<std::string>(&value(key));
  if (found == nullptr) fail_kind(key, "a string");
  return *found;
}

const std::vector<std::string>& GgufFile::texts(const std::string& key) const {
  const auto* found = std::get_if<std::vector<std::string>>(&value(key));
  if (found == nullptr) fail_kind(key, "an array of strings");
  return *found;
}

std::vector<std::int64_t> GgufFile::integers(const std::string& key) const {
  const GgufValue& found = value(key);
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(&found)) return *numbers;
  const auto* numbers = std::get_if<std::vector<std::uint64_t>>(&found);
  if (numbers == nullptr) fail_kind(key, "an array of integers");
  std::vector<std::int64_t> widened;
  widened.reserve(numbers->size());
  for (const std::uint64_t number : *numbers) {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail_input("{}: byte {}: {}: {} does not fit 63 bits", path().string(), offsets_.at(key), key, number);
    }
    widened.push_back(static_cast<std::int64_t>(number));
  }
  return widened;
}

const std::vector<double>& GgufFile::numbers(const std::string& key) const {
  const auto* found = std::get_if<std::vector<double>>(&value(key));
  if (found == nullptr) fail_kind(key, "an array of floating-point numbers");
  return *found;
}

std::string GgufFile::place_of(const StoredTensor& tensor) const {
  for (const GgufFile& shard : further_) {
    const auto own = shard.tensors_.find(tensor.name);
    if (own != shard.tensors_.end() && own->second.bytes.data() == tensor.bytes.data()) {
      return shard.place_of(tensor);
    }
  }
  return fmt::format("{}: byte {}", path().string(), tensor.bytes.data() - file_.bytes().data());
}

}  // namespace tide
