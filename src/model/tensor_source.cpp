#include "model/tensor_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "model/printable.h"

namespace tide {

std::int64_t StoredTensor::element_count() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

const StoredTensor& TensorSource::tensor(const std::string& name, std::span<const std::int64_t> shape) const {
  const auto found = tensors().find(name);
  if (found == tensors().end()) fail_input("{}: no tensor {}", path().string(), name);
  const StoredTensor& tensor = found->second;
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), shape.begin(), shape.end())) {
    fail_input("{}: tensor {}: shape {} expected, found {}", place_of(tensor), printable(name),
               shape_text(shape), shape_text(tensor.shape));
  }
  return tensor;
}

}  // namespace tide
