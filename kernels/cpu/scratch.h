#pragma once
// Working memory that a kernel keeps between calls, so that a steady state allocates nothing.

#include <cstddef>
#include <memory>
#include <new>

namespace tide::kernels::cpu {

/// A cache-line aligned array that only grows, by a share of itself so that a context which grows by a
/// position a step seldom needs it. What it held is lost then.
template <typename T>
class Scratch {
 public:
  T* get(std::size_t count) {
    if (count > capacity_) {
      data_.reset();
      capacity_ = 0;
      const std::size_t capacity = count + count / 4;
      data_.reset(static_cast<T*>(::operator new (capacity * sizeof(T), std::align_val_t{kAlignment})));
      capacity_ = capacity;
    }
    return data_.get();
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Free {
    void operator()(T* data) const { ::operator delete (data, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t capacity_ = 0;
};

}  // namespace tide::kernels::cpu
