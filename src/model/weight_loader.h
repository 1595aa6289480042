#pragma once
// Brings a checkpoint's tensors into a model's matrices.

#include <ATen/core/Tensor.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "model/matrix.h"
#include "model/tensor_source.h"
#include "model/weight_memory.h"

namespace tide {

/// A matrix of the checkpoint that becomes some rows of ours.
struct WeightPart {
  std::string name;
  std::int64_t rows;
  /// Not 0 for Q and K of GGUF files: converted llama checkpoints interleave the two halves of a head's
  /// rotary pairs, so that row 2i + j of a head in the file is row j * head_dim / 2 + i of ours.
  std::int64_t permuted_head_dim = 0;
};

/// Collects the copies of a whole model, then runs them on a few threads. Every weight is read once, and its
/// pages of the mapped checkpoint are given back once it is copied. Throws InputError naming the tensor that
/// is missing, has another shape, or holds what the weight type cannot.
class WeightLoader {
 public:
  WeightLoader(const TensorSource& source, WeightType type);

  /// Tensors of the same width, one below the other. Filled by `run`.
  Matrix stacked(const std::vector<WeightPart>& parts, std::int64_t columns);
  Matrix whole(const std::string& name, std::int64_t rows, std::int64_t columns);
  /// In fp32, at once: [size].
  at::Tensor vector(const std::string& name, std::int64_t size);
  /// Vectors one behind the other, their elements in the order of a matrix's rows, in fp32, at once.
  at::Tensor stacked_vector(const std::vector<WeightPart>& parts);

  /// A tensor that is left alone on purpose.
  void ignore(const std::string& name) { used_.insert(name); }
  /// Refuses tensors that nobody asked for (biases of another architecture, say): without them the arithmetic
  /// would be another.
  void refuse_unused() const;
  void run();

 private:
  /// Rows of a tensor that go to rows of a matrix.
  struct Copy {
    const StoredTensor* from;
    std::int64_t first, count;
    std::int64_t permuted_head_dim;
    Matrix to;
    std::int64_t to_first;  ///< where the tensor's row 0 goes
  };

  template <std::size_t N>
  const StoredTensor& tensor(const std::string& name, const std::array<std::int64_t, N>& shape);
  void run_copy(const Copy& copy) const;

  const TensorSource& source_;
  WeightType type_;
  WeightMemory memory_;
  std::vector<Copy> copies_;
  std::set<std::string> used_;
};

}  // namespace tide
