#pragma once
// GGUF v2 and v3 files: metadata, tensor directory, and dequantisation. Nothing in the file is trusted.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/file.h"

namespace tide {

/// Tensor types by their number in the file.
enum class GgufType : std::uint32_t { f32 = 0, f16 = 1, q4_0 = 2, q4_1 = 3, q8_0 = 8, bf16 = 30 };

/// A metadata value; integers of every width are widened, arrays hold one kind.
using GgufValue =
    std::variant<std::uint64_t, std::int64_t, double, bool, std::string, std::vector<std::uint64_t>,
                 std::vector<std::int64_t>, std::vector<double>, std::vector<bool>, std::vector<std::string>>;

struct GgufTensor {
  std::string name;
  GgufType type;
  std::vector<std::int64_t> shape;  ///< outermost first: [rows, columns], row-major
  std::span<const std::byte> bytes;

  std::int64_t element_count() const;
};

/// An opened, fully validated GGUF file, mapped read-only. Throws InputError with the byte offset of
/// what is wrong.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  const std::map<std::string, GgufTensor>& tensors() const { return tensors_; }

  bool has(const std::string& key) const { return metadata_.contains(key); }
  /// The value of a required key. Throws InputError when it is missing or of another kind.
  std::int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;
  bool boolean(const std::string& key) const;
  const std::string& text(const std::string& key) const;
  const std::vector<std::string>& texts(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key) const;
  /// A required tensor of exactly this shape. Throws InputError.
  const GgufTensor& tensor(const std::string& name, std::span<const std::int64_t> shape) const;

 private:
  const GgufValue& value(const std::string& key) const;
  [[noreturn]] void fail_kind(const std::string& key, const char* expected) const;

  MappedFile file_;
  std::map<std::string, GgufValue> metadata_;
  std::map<std::string, std::uint64_t> offsets_;  ///< where each metadata value begins
  std::map<std::string, GgufTensor> tensors_;
};

/// Dequantises rows [first, first + count) of a tensor of shape [rows, columns] (or a vector: one row)
/// into fp32, bit for bit what the gguf package gives. out: [count, columns]. More than two dimensions:
/// all but the last are rows. Re-entrant.
void dequantise_rows(const GgufTensor& tensor, std::int64_t first, std::int64_t count, float* out);

}  // namespace tide
