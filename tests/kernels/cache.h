#pragma once
// A KV cache of random rows in two segments, with room that no kernel may read.

#include "kernels/types.h"
#include "tests/kernels/support.h"

namespace tide::kernels::test {

/// Positions 0 .. kv_len - 1, cut at `cut` into two segments with spare capacity full of NaN.
class Cache {
 public:
  Cache(Random& random, DType dtype, int n_kv_heads, int head_dim, std::int64_t kv_len, std::int64_t cut)
      : Cache(random.normals(static_cast<std::size_t>(n_kv_heads * head_dim * kv_len)),
              random.normals(static_cast<std::size_t>(n_kv_heads * head_dim * kv_len)), dtype, n_kv_heads,
              head_dim, kv_len, cut) {}

  /// k, v: [n_kv_heads, kv_len, head_dim]
  Cache(const std::vector<float>& k, const std::vector<float>& v, DType dtype, int n_kv_heads, int head_dim,
        std::int64_t kv_len, std::int64_t cut)
      : view_{dtype, n_kv_heads, head_dim, {}} {
    for (int s = 0; s < 2; ++s) {
      const std::int64_t begin = s == 0 ? 0 : cut, count = s == 0 ? cut : kv_len - cut;
      const std::int64_t capacity = count + 3;
      storage_[s][0] = fill(k, kv_len, begin, count, capacity);
      storage_[s][1] = fill(v, kv_len, begin, count, capacity);
      view_.segment[s] = {storage_[s][0].data(), storage_[s][1].data(), capacity * head_dim, begin, count};
    }
  }

  const KvView& view() const { return view_; }

 private:
  std::vector<std::uint8_t> fill(const std::vector<float>& rows, std::int64_t kv_len, std::int64_t begin,
                                 std::int64_t count, std::int64_t capacity) const {
    const std::int64_t dim = view_.head_dim;
    std::vector<float> values(static_cast<std::size_t>(view_.n_kv_heads * capacity * dim),
                              std::numeric_limits<float>::quiet_NaN());
    for (std::int64_t g = 0; g < view_.n_kv_heads; ++g) {
      const auto from = rows.begin() + (g * kv_len + begin) * dim;
      std::copy(from, from + count * dim, values.begin() + g * capacity * dim);
    }
    return stored(values, view_.dtype);
  }

  KvView view_;
  std::vector<std::uint8_t> storage_[2][2];
};

/// What attention of one row wrote.
struct Result {
  std::vector<float> score, log_sum_exp, out;
  Result() = default;
  Result(int n_heads, std::int64_t stride, int head_dim)
      : score(static_cast<std::size_t>(n_heads * stride), 0.0f),
        log_sum_exp(static_cast<std::size_t>(n_heads), 0.0f),
        out(static_cast<std::size_t>(n_heads * head_dim), 0.0f) {}
};

inline void expect_near(const Result& got, const Result& want, DType dtype, const std::string& what) {
  expect_near(got.score, want.score, tolerance(dtype), what + " score");
  expect_near(got.log_sum_exp, want.log_sum_exp, tolerance(dtype), what + " log_sum_exp");
  expect_near(got.out, want.out, tolerance(dtype), what + " out");
}

inline void expect_same_bits(const Result& got, const Result& want, const std::string& what) {
  expect_same_bits(got.score, want.score, what + " score");
  expect_same_bits(got.log_sum_exp, want.log_sum_exp, what + " log_sum_exp");
  expect_same_bits(got.out, want.out, what + " out");
}

}  // namespace tide::kernels::test
