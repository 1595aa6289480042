#include "model/weight_loader.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "base/cpus.h"
#include "base/error.h"
#include "base/file.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr std::int64_t kWeightsATask = std::int64_t{1} << 20;

std::int64_t rows_a_task(std::int64_t columns) { return std::max(std::int64_t{1}, kWeightsATask / columns); }

std::size_t memory_for(const TensorSource& source) {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : source.tensors()) {
    const std::int64_t columns = tensor.shape.empty() ? 0 : tensor.shape.back();
    if (columns == 0) continue;  // of no matrix
    bytes += WeightMemory::bytes_at_most(tensor.element_count() / columns, columns);
  }
  return bytes;
}

std::int64_t destination_row(std::int64_t row, std::int64_t head_dim) {
  if (head_dim == 0) return row;
  const std::int64_t in_head = row % head_dim;
  return row - in_head + (in_head % 2) * (head_dim / 2) + in_head / 2;
}

/// Where rows [first, first + count) lie.
std::span<const std::byte> row_bytes(const StoredTensor& tensor, std::int64_t first, std::int64_t count) {
  const auto a_row =
      tensor.bytes.size() / static_cast<std::size_t>(tensor.element_count() / tensor.shape.back());
  return tensor.bytes.subspan(static_cast<std::size_t>(first) * a_row,
                              static_cast<std::size_t>(count) * a_row);
}

}  // namespace

WeightLoader::WeightLoader(const TensorSource& source, WeightType type)
    : source_(source), type_(type), memory_(memory_for(source)) {}

template <std::size_t N>
const StoredTensor& WeightLoader::tensor(const std::string& name, const std::array<std::int64_t, N>& shape) {
  used_.insert(name);
  return source_.tensor(name, shape);
}

Matrix WeightLoader::stacked(const std::vector<WeightPart>& parts, std::int64_t columns) {
  // Shapes are checked before anything is taken: a forged size must not ask for terabytes.
  std::int64_t rows = 0;
  for (const WeightPart& part : parts) {
    tensor(part.name, std::array{part.rows, columns});
    if (type_ == WeightType::q8_0 && columns % kernels::kQ8Block != 0) {
      fail_input(
          "{}: tensor {} has rows of {} weights; dtype q8_0 needs a multiple of {}, bf16 and fp32 do not",
          source_.path().string(), printable(part.name), columns, kernels::kQ8Block);
    }
    rows += part.rows;
  }
  Matrix to = memory_.matrix(type_, rows, columns);
  std::int64_t to_first = 0;
  for (const WeightPart& part : parts) {
    const StoredTensor& from = source_.tensors().at(part.name);
    const std::int64_t step = rows_a_task(columns);
    for (std::int64_t row = 0; row < part.rows; row += step) {
      copies_.push_back({&from, row, std::min(step, part.rows - row), part.permuted_head_dim, to, to_first});
    }
    to_first += part.rows;
  }
  return to;
}

Matrix WeightLoader::whole(const std::string& name, std::int64_t rows, std::int64_t columns) {
  return stacked({{name, rows}}, columns);
}

at::Tensor WeightLoader::vector(const std::string& name, std::int64_t size) {
  const StoredTensor& from = tensor(name, std::array{size});
  at::Tensor to = at::empty({size}, at::kFloat);
  dequantise_rows(from, 0, 1, to.data_ptr<float>());
  return to;
}

at::Tensor WeightLoader::stacked_vector(const std::vector<WeightPart>& parts) {
  std::int64_t size = 0;
  for (const WeightPart& part : parts) size += tensor(part.name, std::array{part.rows}).element_count();
  at::Tensor to = at::empty({size}, at::kFloat);
  float* first = to.data_ptr<float>();
  for (const WeightPart& part : parts) {
    const at::Tensor from = vector(part.name, part.rows);
    for (std::int64_t i = 0; i < part.rows; ++i) {
      first[destination_row(i, part.permuted_head_dim)] = from.const_data_ptr<float>()[i];
    }
    first += part.rows;
  }
  return to;
}

void WeightLoader::refuse_unused() const {
  for (const auto& [name, tensor] : source_.tensors()) {
    if (!used_.contains(name)) {
      fail_input("{}: tensor {} has no place in the model's architecture", source_.path().string(),
                 printable(name));
    }
  }
}

void WeightLoader::run() {
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < copies_.size(); i = next++) run_copy(copies_[i]);
    } catch (...) {
      const std::scoped_lock lock(failure_mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 1, n = usable_cores().size(); i < n; ++i) threads.emplace_back(work);
  work();
  threads.clear();
  if (failure) std::rethrow_exception(failure);
}

void WeightLoader::run_copy(const Copy& copy) const {
  const StoredTensor& from = *copy.from;
  const bool as_it_is = type_ == WeightType::q8_0 && from.type == TensorType::q8_0;
  const std::int64_t columns = from.shape.back();
  std::vector<float> rows(as_it_is ? 0 : static_cast<std::size_t>(copy.count * columns));
  if (!as_it_is) dequantise_rows(from, copy.first, copy.count, rows.data());
  Matrix to = copy.to;
  for (std::int64_t i = 0; i < copy.count; ++i) {
    const std::int64_t row = copy.first + i;
    const std::int64_t to_row = copy.to_first + destination_row(row, copy.permuted_head_dim);
    if (as_it_is) {
      to.store_q8_0_blocks(to_row, row_bytes(from, row, 1).data());
    } else if (!to.store_row(to_row, rows.data() + i * columns)) {
      fail_input("{}: tensor {}, row {}: a weight is not finite, or too large for dtype q8_0",
                 source_.path().string(), printable(from.name), row);
    }
  }
  drop_pages(row_bytes(from, copy.first, copy.count));
}

}  // namespace tide
