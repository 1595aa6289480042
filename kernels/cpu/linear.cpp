// y = x W^T for few rows. One row is bound by reading W; several rows share each weight read through
// register tiles. Every (row, output) has one accumulator vector that walks n_in in the same steps,
// and one way of summing its lanes, in every tile shape: that is what keeps a row's bits its own.

#include "kernels/linear.h"

#include <algorithm>

#include "kernels/cpu/scratch.h"
#include "kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

/// Two vectors of weights a step, decoded from 2 * kLanes stored ones.
constexpr std::size_t kStep = 2 * kLanes;

template <typename T>
HWY_INLINE void load_step(const typename T::Raw* p, V& first, V& second) {
  first = T::load(p);
  second = T::load(p + kLanes);
}

/// bf16 pairs split into even and odd elements: a shift and a mask a pair, no widening. `x` is packed
/// in the same order.
template <>
HWY_INLINE void load_step<BF16>(const std::uint16_t* p, V& first, V& second) {
  const hn::Repartition<std::uint16_t, F> d16;
  const auto pairs = hn::BitCast(U32(), hn::LoadU(d16, p));
  first = hn::BitCast(F(), hn::ShiftLeft<16>(pairs));
  second = hn::BitCast(F(), hn::And(pairs, hn::Set(U32(), 0xffff0000u)));
}

/// One step's x in the order in which load_step yields the weights.
void pack_step(bool even_odd, const float* x, float* packed) {
  for (std::size_t i = 0; i < kStep; ++i) {
    packed[even_odd ? i / 2 + (i % 2) * kLanes : i] = x[i];
  }
}

/// packed: [n_rows, pitch], zeros behind n_in.
void pack_rows(const Linear& args, std::size_t pitch, float* packed) {
  const bool even_odd = args.dtype == DType::bf16;
  const std::size_t n_in = static_cast<std::size_t>(args.n_in);
  for (std::size_t r = 0; r < static_cast<std::size_t>(args.n_rows); ++r) {
    const float* x = args.x + r * n_in;
    float* to = packed + r * pitch;
    std::size_t i = 0;
    for (; i + kStep <= n_in; i += kStep) pack_step(even_odd, x + i, to + i);
    if (i < n_in) {
      float last[kStep] = {};
      std::memcpy(last, x + i, (n_in - i) * sizeof(float));
      pack_step(even_odd, last, to + i);
    }
  }
}

/// Adds one step to the accumulators. `w[o]` and `x` point at the step.
template <typename T, int kRows, int kOuts>
HWY_INLINE void add_step(const typename T::Raw* const* w, std::size_t w_at, const float* x, std::size_t pitch,
                         V (&acc)[kRows][kOuts]) {
  const F d;
  V first[kOuts], second[kOuts];
  for (int o = 0; o < kOuts; ++o) load_step<T>(w[o] + w_at, first[o], second[o]);
  for (int r = 0; r < kRows; ++r) {
    const V x_first = hn::Load(d, x + static_cast<std::size_t>(r) * pitch);
    const V x_second = hn::Load(d, x + static_cast<std::size_t>(r) * pitch + kLanes);
    for (int o = 0; o < kOuts; ++o) acc[r][o] = hn::MulAdd(first[o], x_first, acc[r][o]);
    for (int o = 0; o < kOuts; ++o) acc[r][o] = hn::MulAdd(second[o], x_second, acc[r][o]);
  }
}

/// y[row .. + kRows, out .. + kOuts].
template <typename T, int kRows, int kOuts>
HWY_NOINLINE void tile(const Linear& args, const float* packed, std::size_t pitch, std::int64_t row,
                       std::int64_t out, bool prefetch) {
  using Raw = typename T::Raw;
  const F d;
  const std::size_t n_in = static_cast<std::size_t>(args.n_in);
  const float* x = packed + static_cast<std::size_t>(row) * pitch;
  const Raw* w[kOuts];
  for (int o = 0; o < kOuts; ++o)
    w[o] = static_cast<const Raw*>(args.weight) + static_cast<std::size_t>(out + o) * n_in;
  V acc[kRows][kOuts];
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOuts; ++o) acc[r][o] = hn::Zero(d);
  }
  std::size_t i = 0;
  for (; i + kStep <= n_in; i += kStep) {
    if (prefetch) {
      // The same step of the next kOuts outputs.
      for (int o = 0; o < kOuts; ++o) hwy::Prefetch(w[o] + kOuts * n_in + i);
    }
    add_step<T, kRows, kOuts>(w, i, x + i, pitch, acc);
  }
  if (i < n_in) {
    Raw last[kOuts][kStep] = {};
    const Raw* from[kOuts];
    for (int o = 0; o < kOuts; ++o) {
      std::memcpy(last[o], w[o] + i, (n_in - i) * sizeof(Raw));
      from[o] = last[o];
    }
    add_step<T, kRows, kOuts>(from, 0, x + i, pitch, acc);
  }
  for (int r = 0; r < kRows; ++r) {
    float sum[kOuts < 4 ? 4 : kOuts];
    for (int o = 0; o < kOuts; o += 4) {
      const V zero = hn::Zero(d);
      const auto at = [&](int k) { return o + k < kOuts ? acc[r][o + k < kOuts ? o + k : 0] : zero; };
      hn::StoreU(sums_of_lanes(at(0), at(1), at(2), at(3)), hn::Full128<float>(), sum + o);
    }
    const std::int64_t at = (row + r) * args.n_out + out;
    for (int o = 0; o < kOuts; ++o) {
      if (args.bias) sum[o] += args.bias[out + o];
      if (args.residual) sum[o] += args.residual[at + o];
      args.y[at + o] = sum[o];
    }
  }
}

/// All rows of kOuts outputs: tiles of four rows, then what is left.
template <typename T, int kOuts>
void all_rows(const Linear& args, const float* packed, std::size_t pitch, std::int64_t out, bool prefetch) {
  std::int64_t row = 0;
  for (; row + 4 <= args.n_rows; row += 4) {
    tile<T, 4, kOuts>(args, packed, pitch, row, out, prefetch && row == 0);
  }
  prefetch = prefetch && row == 0;
  switch (args.n_rows - row) {
    case 1:
      return tile<T, 1, kOuts>(args, packed, pitch, row, out, prefetch);
    case 2:
      return tile<T, 2, kOuts>(args, packed, pitch, row, out, prefetch);
    case 3:
      return tile<T, 3, kOuts>(args, packed, pitch, row, out, prefetch);
    default:
      return;
  }
}

/// Outputs first .. last - 1 of every row.
void linear_block(const Linear& args, const float* packed, std::size_t pitch, std::int64_t first,
                  std::int64_t last) {
  with_type(args.dtype, [&](auto type) {
    using T = decltype(type);
    std::int64_t out = first;
    if (args.n_rows == 1) {
      for (; out + 8 <= last; out += 8) tile<T, 1, 8>(args, packed, pitch, 0, out, out + 16 <= last);
    }
    for (; out + 4 <= last; out += 4) all_rows<T, 4>(args, packed, pitch, out, out + 8 <= last);
    for (; out < last; ++out) all_rows<T, 1>(args, packed, pitch, out, false);
  });
}

/// Floats between packed rows.
std::size_t linear_pitch(std::int64_t n_in) {
  return (static_cast<std::size_t>(n_in) + kStep - 1) / kStep * kStep;
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {

HWY_EXPORT(linear_block);
HWY_EXPORT(linear_pitch);
HWY_EXPORT(pack_rows);

/// Bytes of weight a task reads: long enough to hide the cost of taking a task, short enough that the
/// threads end together.
constexpr std::int64_t kBlockBytes = 128 << 10;

}  // namespace

void linear(const Linear& args, ThreadPool& pool) {
  thread_local Scratch<float> scratch;
  const std::size_t pitch = HWY_DYNAMIC_DISPATCH(linear_pitch)(args.n_in);
  float* packed = scratch.get(static_cast<std::size_t>(args.n_rows) * pitch);
  HWY_DYNAMIC_DISPATCH(pack_rows)(args, pitch, packed);

  const std::int64_t row_bytes =
      std::max<std::int64_t>(1, args.n_in * static_cast<std::int64_t>(size_of(args.dtype)));
  const std::int64_t share = (args.n_out + 2 * pool.n_threads() - 1) / (2 * pool.n_threads());
  const std::int64_t outs = (std::min(kBlockBytes / row_bytes, share) + 7) / 8 * 8;
  const std::int64_t block = std::max<std::int64_t>(8, outs);
  pool.run((args.n_out + block - 1) / block, [&](std::int64_t task) {
    HWY_DYNAMIC_DISPATCH(linear_block)
    (args, packed, pitch, task * block, std::min(args.n_out, (task + 1) * block));
  });
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
