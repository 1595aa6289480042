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

/// Adds half a step to the accumulators. The fewer of rows and outputs wait in registers while the others
/// pass by: accumulators, those and one more are what 16 registers hold.
template <std::size_t kRows, std::size_t kOuts, typename LoadWeight>
HWY_INLINE void add_half(const LoadWeight& weight_of, const float* x, std::size_t pitch,
                         V (&acc)[kRows * kOuts]) {
  const F d;
  if constexpr (kRows < kOuts) {
    V row[kRows];
    unrolled<kRows>([&](auto r) TIDE_INLINE_LAMBDA { row[r] = hn::Load(d, x + r * pitch); });
    unrolled<kOuts>([&](auto o) TIDE_INLINE_LAMBDA {
      const V weight = weight_of(o);
      unrolled<kRows>([&](auto r) TIDE_INLINE_LAMBDA {
        acc[r * kOuts + o] = hn::MulAdd(weight, row[r], acc[r * kOuts + o]);
      });
    });
  } else {
    V weight[kOuts];
    unrolled<kOuts>([&](auto o) TIDE_INLINE_LAMBDA { weight[o] = weight_of(o); });
    unrolled<kRows>([&](auto r) TIDE_INLINE_LAMBDA {
      const V row = hn::Load(d, x + r * pitch);
      unrolled<kOuts>([&](auto o) TIDE_INLINE_LAMBDA {
        acc[r * kOuts + o] = hn::MulAdd(weight[o], row, acc[r * kOuts + o]);
      });
    });
  }
}

/// Adds one step. `w[o]` and `x` point at it.
template <typename T, std::size_t kRows, std::size_t kOuts>
HWY_INLINE void add_step(const typename T::Raw* const* w, std::size_t w_at, const float* x, std::size_t pitch,
                         V (&acc)[kRows * kOuts]) {
  add_half<kRows, kOuts>([&](auto o) TIDE_INLINE_LAMBDA { return load_first<T>(w[o] + w_at); }, x, pitch,
                         acc);
  add_half<kRows, kOuts>([&](auto o) TIDE_INLINE_LAMBDA { return load_second<T>(w[o] + w_at); }, x + kLanes,
                         pitch, acc);
}

/// Sums the accumulators' lanes into y[row .. + kRows, out .. + kOuts].
template <std::size_t kRows, std::size_t kOuts>
HWY_INLINE void finish(const Linear& args, std::int64_t row, std::int64_t out,
                       const V (&acc)[kRows * kOuts]) {
  constexpr std::size_t kLast = kRows * kOuts - 1;
  float sum[kLast / 4 * 4 + 4];
  unrolled<kLast / 4 + 1>([&](auto four) TIDE_INLINE_LAMBDA {
    constexpr std::size_t k = decltype(four)::value * 4;  // past the last: sums that nobody reads
    hn::StoreU(sums_of_lanes(acc[k], acc[std::min(k + 1, kLast)], acc[std::min(k + 2, kLast)],
                             acc[std::min(k + 3, kLast)]),
               hn::Full128<float>(), sum + k);
  });
  for (std::size_t r = 0; r < kRows; ++r) {
    const std::int64_t first = (row + static_cast<std::int64_t>(r)) * args.n_out;
    for (std::size_t o = 0; o < kOuts; ++o) {
      const std::int64_t column = out + static_cast<std::int64_t>(o);
      float value = sum[r * kOuts + o];
      if (args.bias) value += args.bias[column];
      if (args.residual) value += args.residual[first + column];
      args.y[first + column] = value;
    }
  }
}

/// Outputs of a panel: whole tiles of every shape.
constexpr std::int64_t kPanel = 24;

/// Part of the way through n_in, for a panel of outputs and a few rows. Only the last part ends in y;
/// the accumulators of the others wait in `partial`.
struct Part {
  const Linear& args;
  const float* packed;  // [n_rows, pitch]
  std::size_t pitch;
  std::int64_t row;          // the first of the tile's rows
  std::int64_t out;          // the first of the panel's outputs
  std::size_t begin, end;    // of n_in
  float* partial;            // [panel, rows, kLanes]
  std::int64_t fetch_until;  // outputs before it may be asked for ahead of time
};

/// The outputs out .. + kOuts of part.row .. + kRows.
template <typename T, std::size_t kRows, std::size_t kOuts>
HWY_NOINLINE void tile(const Part& part, std::int64_t out) {
  using Raw = typename T::Raw;
  const F d;
  const std::size_t n_in = static_cast<std::size_t>(part.args.n_in), pitch = part.pitch;
  const float* x = part.packed + static_cast<std::size_t>(part.row) * pitch;
  float* partial = part.partial + static_cast<std::size_t>(out - part.out) * kRows * kLanes;
  const Raw* w[kOuts];
  for (std::size_t o = 0; o < kOuts; ++o)
    w[o] = static_cast<const Raw*>(part.args.weight) + (static_cast<std::size_t>(out) + o) * n_in;
  V acc[kRows * kOuts];  // [row, output]
  unrolled<kRows * kOuts>([&](auto k) TIDE_INLINE_LAMBDA {
    acc[k] = part.begin == 0 ? hn::Zero(d) : hn::Load(d, partial + k * kLanes);
  });
  const bool prefetch = out + 2 * static_cast<std::int64_t>(kOuts) <= part.fetch_until;
  std::size_t i = part.begin;
  for (; i + kStep <= part.end; i += kStep) {
    if (prefetch) {
      // The same step of the next kOuts outputs.
      for (std::size_t o = 0; o < kOuts; ++o) hwy::Prefetch(w[o] + kOuts * n_in + i);
    }
    add_step<T, kRows, kOuts>(w, i, x + i, pitch, acc);
  }
  if (i < part.end) {
    Raw last[kOuts][kStep] = {};
    const Raw* from[kOuts];
    for (std::size_t o = 0; o < kOuts; ++o) {
      std::memcpy(last[o], w[o] + i, (part.end - i) * sizeof(Raw));
      from[o] = last[o];
    }
    add_step<T, kRows, kOuts>(from, 0, x + i, pitch, acc);
  }
  if (part.end == n_in) return finish<kRows, kOuts>(part.args, part.row, out, acc);
  unrolled<kRows * kOuts>([&](auto k) TIDE_INLINE_LAMBDA { hn::Store(acc[k], d, partial + k * kLanes); });
}

/// Outputs first .. last - 1 of kRows rows. Their x comes from the first-level cache again for every
/// kOuts outputs, so n_in is walked in parts that leave room there.
template <typename T, std::size_t kRows, std::size_t kOuts>
void some_rows(const Linear& args, const float* packed, std::size_t pitch, std::int64_t row,
               std::int64_t first, std::int64_t last) {
  constexpr std::size_t kPart = (20 << 10) / (kRows * sizeof(float)) / kStep * kStep;
  HWY_ALIGN float partial[static_cast<std::size_t>(kPanel) * kRows * kLanes];
  const std::size_t n_in = static_cast<std::size_t>(args.n_in);
  // The weights come from memory once, with the first rows.
  const std::int64_t fetch_until = row == 0 ? last : 0;
  constexpr std::int64_t kStride = static_cast<std::int64_t>(kOuts);
  for (std::int64_t out = first; out < last; out += kPanel) {
    const std::int64_t end = std::min<std::int64_t>(out + kPanel, last);
    Part part{args, packed, pitch, row, out, 0, 0, partial, fetch_until};
    do {
      part.begin = part.end;
      part.end = std::min(part.begin + kPart, n_in);
      std::int64_t o = out;
      for (; o + kStride <= end; o += kStride) tile<T, kRows, kOuts>(part, o);
      for (; o < end; ++o) tile<T, kRows, 1>(part, o);
    } while (part.end < n_in);
  }
}

/// Outputs first .. last - 1 of every row. Tiles are as large as the registers hold.
void linear_block(const Linear& args, const float* packed, std::size_t pitch, std::int64_t first,
                  std::int64_t last) {
  constexpr std::size_t kWide = kLanes >= 16 ? 4 : 2;
  with_type(args.dtype, [&](auto type) {
    using T = decltype(type);
    std::int64_t row = 0;
    for (; row + 6 <= args.n_rows; row += 6) some_rows<T, 6, kWide>(args, packed, pitch, row, first, last);
    switch (args.n_rows - row) {
      case 1:
        return some_rows<T, 1, 8>(args, packed, pitch, row, first, last);
      case 2:
        return some_rows<T, 2, 4>(args, packed, pitch, row, first, last);
      case 3:
        return some_rows<T, 3, 4>(args, packed, pitch, row, first, last);
      case 4:
        return some_rows<T, 4, kWide>(args, packed, pitch, row, first, last);
      case 5:
        return some_rows<T, 5, kWide>(args, packed, pitch, row, first, last);
      default:
        return;
    }
  });
}

void pack_row(const Linear& args, std::size_t pitch, float* packed, std::int64_t row) {
  const std::size_t n_in = static_cast<std::size_t>(args.n_in), r = static_cast<std::size_t>(row);
  pack_steps(args.dtype, args.x + r * n_in, n_in, packed + r * pitch);
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
HWY_EXPORT(pack_row);

/// Bytes of weight a task reads: long enough to hide the cost of taking a task, short enough that the
/// threads end together.
constexpr std::int64_t kBlockBytes = 128 << 10;

}  // namespace

void linear(const Linear& args, ThreadPool& pool) {
  thread_local Scratch<float> scratch;
  const std::size_t pitch = HWY_DYNAMIC_DISPATCH(linear_pitch)(args.n_in);
  float* packed = scratch.get(static_cast<std::size_t>(args.n_rows) * pitch);
  const auto pack = [&](std::int64_t row) { HWY_DYNAMIC_DISPATCH(pack_row)(args, pitch, packed, row); };
  if (args.n_rows < 8) {
    for (std::int64_t row = 0; row < args.n_rows; ++row) pack(row);
  } else {
    pool.run(args.n_rows, pack);
  }

  const std::int64_t row_bytes =
      std::max<std::int64_t>(1, args.n_in * static_cast<std::int64_t>(size_of(args.dtype)));
  const std::int64_t share = (args.n_out + 2 * pool.n_threads() - 1) / (2 * pool.n_threads());
  const std::int64_t outs = std::min(kBlockBytes / row_bytes, share);
  const std::int64_t block = std::max<std::int64_t>(1, (outs + 23) / 24) * 24;  // whole tiles, of any shape
  pool.run((args.n_out + block - 1) / block, [&](std::int64_t task) {
    HWY_DYNAMIC_DISPATCH(linear_block)
    (args, packed, pitch, task * block, std::min(args.n_out, (task + 1) * block));
  });
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
