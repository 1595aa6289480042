#pragma once
// The tensors of a checkpoint, whatever its format.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace tide {

/// How weights are stored, by the numbers that GGUF gives the types.
enum class TensorType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30
};

struct StoredTensor {
  std::string name;
  TensorType type;
  std::vector<std::int64_t> shape;  ///< outermost first: [rows, columns], row-major; a scalar has none
  std::span<const std::byte> bytes;

  std::int64_t element_count() const;
};

/// Dequantises rows [first, first + count) of a tensor of shape [rows, columns] (or a vector: one row)
/// into fp32, bit for bit what the gguf package gives. out: [count, columns]. More than two dimensions:
/// all but the last are rows. Re-entrant.
void dequantise_rows(const StoredTensor& tensor, std::int64_t first, std::int64_t count, float* out);

/// "[2, 3]"
std::string shape_text(std::span<const std::int64_t> shape);

/// A checkpoint with its tensors mapped.
class TensorSource {
 public:
  TensorSource() = default;
  virtual ~TensorSource() = default;
  TensorSource(TensorSource&&) = default;
  TensorSource& operator=(TensorSource&&) = default;

  /// The file or folder, as the user named it.
  virtual const std::filesystem::path& path() const = 0;
  virtual const std::map<std::string, StoredTensor>& tensors() const = 0;
  bool has_tensor(const std::string& name) const { return tensors().contains(name); }
  /// A required tensor of exactly this shape. Throws InputError.
  const StoredTensor& tensor(const std::string& name, std::span<const std::int64_t> shape) const;

 protected:
  /// "FILE: byte OFFSET": where the tensor's data begin.
  virtual std::string place_of(const StoredTensor& tensor) const = 0;
};

}  // namespace tide
