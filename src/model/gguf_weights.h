#pragma once
// Brings a GGUF file's tensors into a model's matrices.

#include <ATen/core/Tensor.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "model/gguf.h"
#include "model/matrix.h"
#include "model/weight_memory.h"

namespace tide {

/// A matrix of the file that becomes some rows of ours.
struct GgufPart {
  std::string name;
  std::int64_t rows;
  /// Not 0 for Q and K: converted llama checkpoints interleave the two halves of a head's rotary pairs,
  /// so that row 2i + j of a head in the file is row j * head_dim / 2 + i of ours.
  std::int64_t permuted_head_dim = 0;
};

/// Collects the copies of a whole model, then runs them on a few threads. Throws InputError naming the tensor
/// that is missing, has another shape, or holds what the weight type cannot.
class GgufWeights {
 public:
  GgufWeights(const GgufFile& file, WeightType type);

  /// Tensors of the same width, one below the other. Filled by `run`.
  Matrix stacked(const std::vector<GgufPart>& parts, std::int64_t columns);
  Matrix whole(const std::string& name, std::int64_t rows, std::int64_t columns);
  /// In fp32, at once: [size].
  at::Tensor vector(const std::string& name, std::int64_t size);

  /// Refuses tensors that nobody asked for (biases, say): without them the arithmetic would be another.
  void refuse_unused() const;
  void run();

 private:
  /// Rows of a tensor that go to rows of a matrix.
  struct Copy {
    const GgufTensor* from;
    std::int64_t first, count;
    std::int64_t permuted_head_dim;
    Matrix to;
    std::int64_t to_first;  ///< where the tensor's row 0 goes
  };

  template <std::size_t N>
  const GgufTensor& tensor(const std::string& name, const std::array<std::int64_t, N>& shape);
  void run_copy(const Copy& copy) const;

  const GgufFile& file_;
  WeightType type_;
  WeightMemory memory_;
  std::vector<Copy> copies_;
  std::set<std::string> used_;
};

}  // namespace tide
