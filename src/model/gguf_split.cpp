#include "model/gguf_split.h"

#include "base/error.h"
#include "model/printable.h"

namespace tide {

namespace {

namespace fs = std::filesystem;

constexpr const char* kNumber = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";

/// What five digits of a file's name can count.
constexpr std::int64_t kMaxShards = 99999;

/// The end of a shard's name: "-00001-of-00003.gguf" of number 0.
std::string name_end(std::int64_t number, std::int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
}

std::int64_t integer_in(const GgufFile& file, const char* key, std::int64_t least, std::int64_t most) {
  const std::int64_t value = file.integer(key);
  if (value < least || value > most) {
    fail_input("{}: {} is {}, expected {} to {}", file.path().string(), key, value, least, most);
  }
  return value;
}

}  // namespace

GgufSplit read_split(const GgufFile& first) {
  GgufSplit split;
  if (!first.has(kCount)) return split;
  split.count = integer_in(first, kCount, 0, kMaxShards);
  if (split.count <= 1) return {};
  const std::int64_t number = integer_in(first, kNumber, 0, split.count - 1);
  if (number != 0) {
    fail_input("{}: file {} of the {} into which this checkpoint is split; name the first, …{}",
               first.path().string(), number + 1, split.count, name_end(0, split.count));
  }
  split.n_tensors = integer_in(first, kTensors, 0, std::int64_t{1} << 40);
  return split;
}

std::vector<fs::path> shard_paths(const fs::path& first, const GgufSplit& split) {
  const std::string name = first.filename().string(), end = name_end(0, split.count);
  if (!name.ends_with(end)) {
    fail_input(
        "{}: the first of {} files into which this checkpoint is split; its name must end in {}, "
        "so that the others are found",
        first.string(), split.count, end);
  }
  const std::string stem = name.substr(0, name.size() - end.size());
  std::vector<fs::path> paths = {first};
  for (std::int64_t number = 1; number < split.count; ++number) {
    paths.push_back(first.parent_path() / (stem + name_end(number, split.count)));
    if (!fs::exists(paths.back())) {
      fail_input("{}: this checkpoint is split into {} files, of which {} is absent", first.string(),
                 split.count, printable(paths.back().filename().string()));
    }
  }
  return paths;
}

void check_shard(const GgufFile& shard, std::int64_t number, const GgufSplit& first) {
  const auto check = [&](const char* key, std::int64_t expected) {
    if (const std::int64_t value = shard.integer(key); value != expected) {
      fail_input("{}: {} is {}, expected {}, by its name and the first file", shard.path().string(), key,
                 value, expected);
    }
  };
  check(kCount, first.count);
  check(kNumber, number);
  check(kTensors, first.n_tensors);
}

void check_tensor_count(const GgufFile& whole, const GgufSplit& split) {
  const auto n_tensors = static_cast<std::int64_t>(whole.tensors().size());
  if (n_tensors != split.n_tensors) {
    fail_input("{}: {} is {}, but its {} files hold {} tensors", whole.path().string(), kTensors,
               split.n_tensors, split.count, n_tensors);
  }
}

}  // namespace tide
