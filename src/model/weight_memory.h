#pragma once
// The memory of a model's matrices.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "model/matrix.h"

namespace tide {

/// One run of memory that matrices are cut from, one behind the other. A decode step reads all of it in
/// about that order; huge pages, which the system is asked for, save it a page look-up every 4 KB.
class WeightMemory {
 public:
  /// Address space for `capacity` bytes; memory is taken as it is written. Throws WorkError.
  explicit WeightMemory(std::size_t capacity);

  /// Bytes of `capacity` that a matrix takes at most, whatever its type.
  static std::size_t bytes_at_most(std::int64_t rows, std::int64_t columns);

  /// A matrix of zeros, which keeps the memory alive. With q8_0, columns are a multiple of 32.
  Matrix matrix(WeightType type, std::int64_t rows, std::int64_t columns);

 private:
  class Mapping;
  at::Tensor take(std::int64_t rows, std::int64_t columns, at::ScalarType type);

  std::shared_ptr<Mapping> mapping_;
  std::size_t capacity_, used_ = 0;
};

}  // namespace tide
