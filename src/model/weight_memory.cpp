#include "model/weight_memory.h"

#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"
#include "kernels/linear_q8.h"
#include "kernels/panels.h"

namespace tide {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kCacheLine = 64;

std::size_t rounded_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

/// Reserved address space that begins at a huge page.
class WeightMemory::Mapping {
 public:
  explicit Mapping(std::size_t capacity) : size_(rounded_up(capacity, kHugePage) + kHugePage) {
    base_ =
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base_ == MAP_FAILED) {
      fail_work("reserve {} bytes for the weights: {}", size_, std::generic_category().message(errno));
    }
    // Without huge pages everything works, at small ones' speed.
    (void)::madvise(begin(), size_ - kHugePage, MADV_HUGEPAGE);
  }
  ~Mapping() { ::munmap(base_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* begin() const {
    const auto address = reinterpret_cast<std::uintptr_t>(base_);
    return static_cast<std::byte*>(base_) + (rounded_up(address, kHugePage) - address);
  }

 private:
  std::size_t size_;
  void* base_;
};

WeightMemory::WeightMemory(std::size_t capacity)
    : mapping_(std::make_shared<Mapping>(capacity)), capacity_(capacity) {}

std::size_t WeightMemory::bytes_at_most(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(kernels::panels_bytes(columns, rows, kernels::DType::f32)) + 2 * kCacheLine;
}

Matrix WeightMemory::matrix(WeightType type, std::int64_t rows, std::int64_t columns) {
  Matrix matrix{type, rows, columns, {}, {}};
  if (type == WeightType::q8_0) {
    TIDE_ASSERT(columns % kernels::kQ8Block == 0);
    matrix.values = take(rows, columns, at::kChar);
    matrix.scales = take(rows, columns / kernels::kQ8Block, at::kHalf);
    return matrix;
  }
  const bool single = type == WeightType::f32;
  const std::int64_t bytes =
      kernels::panels_bytes(columns, rows, single ? kernels::DType::f32 : kernels::DType::bf16);
  const std::int64_t a_row = kernels::kPanelOuts * (single ? 4 : 2);
  matrix.values = take(bytes / a_row, kernels::kPanelOuts, single ? at::kFloat : at::kBFloat16);
  return matrix;
}

at::Tensor WeightMemory::take(std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  const std::size_t bytes = static_cast<std::size_t>(rows * columns) * c10::elementSize(type);
  TIDE_ASSERT(used_ + bytes <= capacity_);
  std::byte* from = mapping_->begin() + used_;
  used_ += rounded_up(bytes, kCacheLine);
  // The deleter's copy of the pointer is what keeps the memory mapped.
  return at::from_blob(
      from, {rows, columns}, [mapping = mapping_](void*) {}, at::TensorOptions().dtype(type));
}

}  // namespace tide
