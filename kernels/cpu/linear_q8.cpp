// y = x W^T on 8-bit weights, for few rows. With x in 16 bits a block's sum is one of integers: half the
// instructions of widening every weight to fp32, and nothing of it is rounded.
// Every (row, output) has one accumulator vector that takes the blocks in order, and one way of summing
// its lanes, in every tile shape: that is what keeps a row's bits its own.

#include "kernels/linear_q8.h"

#include <algorithm>
#include <limits>

#include "kernels/cpu/scratch.h"
#include "kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear_q8.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

constexpr std::size_t kBlock = kQ8Block;
using I16 = hn::CappedTag<std::int16_t, kBlock>;
using I8 = hn::Rebind<std::int8_t, I16>;
constexpr std::size_t kLanes16 = hn::MaxLanes(I16());
/// Vectors of 16-bit values in a block.
constexpr std::size_t kParts = kBlock / kLanes16;

/// How far ahead of the weights in use memory is asked for the next ones.
constexpr std::size_t kPrefetchBytes = 3072;

/// One block of x in 16 bits; returns its scale.
float pack_block(const float* x, std::int16_t* to) {
  const F d;
  const I32 di;
  // Magnitudes are compared by their bits, which order alike and put infinities and NaNs on top.
  auto largest = hn::Zero(di);
  for (std::size_t i = 0; i < kBlock; i += kLanes) {
    largest = hn::Max(largest, hn::BitCast(di, hn::Abs(F32::load(x + i))));
  }
  const float m = hn::GetLane(hn::BitCast(d, hn::MaxOfLanes(di, largest)));
  if (!(m >= 0x1p-110f && m <= std::numeric_limits<float>::max())) {
    std::memset(to, 0, kBlock * sizeof(*to));
    return m < 0x1p-110f ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }
  const V inverse = hn::Set(d, 32767.0f / m);
  const hn::Rebind<std::int16_t, F> narrow;
  for (std::size_t i = 0; i < kBlock; i += kLanes) {
    const V scaled = hn::Mul(F32::load(x + i), inverse);
    hn::StoreU(hn::DemoteTo(narrow, hn::NearestInt(scaled)), narrow, to + i);
  }
  return m / 32767.0f;
}

/// value: [n_rows, n_in], scale: [n_rows, n_in / 32]
void pack_rows(const LinearQ8& args, std::int16_t* value, float* scale) {
  const std::size_t n_blocks = static_cast<std::size_t>(args.n_rows * args.n_in) / kBlock;
  for (std::size_t b = 0; b < n_blocks; ++b) {
    scale[b] = pack_block(args.x + b * kBlock, value + b * kBlock);
  }
}

/// What the sums of kRows rows and kOuts outputs are made of.
struct Operands {
  const std::int8_t* weight;   // [kOuts, n_in]
  const std::uint16_t* scale;  // [kOuts, n_blocks]
  const std::int16_t* x;       // [kRows, n_in]
  const float* x_scale;        // [kRows, n_blocks]
  std::size_t n_blocks;
};

/// scale[r][o][i]: that of row r's block at + i times that of output o's, for `count` <= kLanes blocks.
template <int kRows, int kOuts>
HWY_INLINE void multiply_scales(const Operands& in, std::size_t at, std::size_t count,
                                float (&scale)[kRows][kOuts][kLanes]) {
  const F d;
  V of_x[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    const float* from = in.x_scale + r * in.n_blocks + at;
    of_x[r] = count < kLanes ? load_partial<F32>(from, count) : F32::load(from);
  }
  for (std::size_t o = 0; o < kOuts; ++o) {
    const std::uint16_t* from = in.scale + o * in.n_blocks + at;
    const V of_weight = count < kLanes ? load_partial<F16>(from, count) : F16::load(from);
    for (std::size_t r = 0; r < kRows; ++r) hn::Store(hn::Mul(of_weight, of_x[r]), d, scale[r][o]);
  }
}

/// Adds block b, whose scales are scale[..][..][i].
template <int kRows, int kOuts>
HWY_INLINE void add_block(const Operands& in, std::size_t b, const float (&scale)[kRows][kOuts][kLanes],
                          std::size_t i, V (&acc)[kRows][kOuts]) {
  const F d;
  const I16 d16;
  const I32 d32;
  // In the order of memory, whichever order the tile reads in: the machine then sees one stream.
  const std::int8_t* ahead = in.weight + kPrefetchBytes + b * kOuts * kBlock;
  for (std::size_t line = 0; line < kOuts * kBlock; line += 64) hwy::Prefetch(ahead + line);
  hn::Vec<I16> w[kOuts][kParts];
  for (std::size_t o = 0; o < kOuts; ++o) {
    const std::int8_t* from = in.weight + (o * in.n_blocks + b) * kBlock;
    for (std::size_t p = 0; p < kParts; ++p) {
      w[o][p] = hn::PromoteTo(d16, hn::LoadU(I8(), from + p * kLanes16));
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    const std::int16_t* from = in.x + (r * in.n_blocks + b) * kBlock;
    hn::Vec<I16> x[kParts];
    for (std::size_t p = 0; p < kParts; ++p) x[p] = hn::LoadU(d16, from + p * kLanes16);
    for (std::size_t o = 0; o < kOuts; ++o) {
      // At most 32 * 128 * 32767: far from what 32 bits hold.
      auto sum = hn::Zero(d32), other = hn::Zero(d32);
      for (std::size_t p = 0; p < kParts; ++p) {
        sum = hn::ReorderWidenMulAccumulate(d32, x[p], w[o][p], sum, other);
      }
      sum = hn::RearrangeToOddPlusEven(sum, other);
      acc[r][o] = hn::MulAdd(hn::ConvertTo(d, sum), hn::Set(d, scale[r][o][i]), acc[r][o]);
    }
  }
}

/// The sums of kRows rows and kOuts outputs, still spread over lanes.
template <int kRows, int kOuts>
HWY_INLINE void add_blocks(const Operands& in, V (&sums)[kRows][kOuts]) {
  HWY_ALIGN float scale[kRows][kOuts][kLanes];
  V acc[kRows][kOuts];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t o = 0; o < kOuts; ++o) acc[r][o] = hn::Zero(F());
  }
  std::size_t b = 0;
  for (; b + kLanes <= in.n_blocks; b += kLanes) {
    multiply_scales(in, b, kLanes, scale);
    for (std::size_t i = 0; i < kLanes; ++i) add_block(in, b + i, scale, i, acc);
  }
  if (b < in.n_blocks) {
    // A whole vector of scales that ends with the row, where the row has one; it overlaps the last.
    const std::size_t count = std::min(in.n_blocks, kLanes), at = in.n_blocks - count;
    multiply_scales(in, at, count, scale);
    for (; b < in.n_blocks; ++b) add_block(in, b, scale, b - at, acc);
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t o = 0; o < kOuts; ++o) sums[r][o] = acc[r][o];
  }
}

/// y[row .. + kRows, out .. + kOuts], kOuts <= 4. One row reads its weights in the order of memory, which
/// is fastest while reading them is what takes the time; several rows use each x for two outputs.
template <int kRows, int kOuts>
HWY_NOINLINE void tile(const LinearQ8& args, const std::int16_t* x, const float* x_scale, std::int64_t row,
                       std::int64_t out) {
  constexpr int kTogether = kRows == 1 || kOuts == 1 ? 1 : 2;
  const std::int64_t n_blocks = args.n_in / kQ8Block;
  V acc[kRows][4];
  for (int o = 0; o < 4; o += kTogether) {
    V part[kRows][kTogether] = {};
    if (o < kOuts) {
      const Operands in{args.weight + (out + o) * args.n_in, args.scale + (out + o) * n_blocks,
                        x + row * args.n_in, x_scale + row * n_blocks, static_cast<std::size_t>(n_blocks)};
      add_blocks(in, part);
    }
    for (int r = 0; r < kRows; ++r) {
      for (int k = 0; k < kTogether; ++k) acc[r][o + k] = part[r][k];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float sum[4];
    hn::StoreU(sums_of_lanes(acc[r][0], acc[r][1], acc[r][2], acc[r][3]), hn::Full128<float>(), sum);
    const std::int64_t at = (row + r) * args.n_out + out;
    for (int o = 0; o < kOuts; ++o) {
      if (args.bias) sum[o] += args.bias[out + o];
      if (args.residual) sum[o] += args.residual[at + o];
      args.y[at + o] = sum[o];
    }
  }
}

/// All rows of kOuts outputs: tiles of four rows, then what is left.
template <int kOuts>
void all_rows(const LinearQ8& args, const std::int16_t* x, const float* x_scale, std::int64_t out) {
  std::int64_t row = 0;
  for (; row + 4 <= args.n_rows; row += 4) tile<4, kOuts>(args, x, x_scale, row, out);
  switch (args.n_rows - row) {
    case 1:
      return tile<1, kOuts>(args, x, x_scale, row, out);
    case 2:
      return tile<2, kOuts>(args, x, x_scale, row, out);
    case 3:
      return tile<3, kOuts>(args, x, x_scale, row, out);
    default:
      return;
  }
}

/// Outputs first .. last - 1 of every row.
void linear_block(const LinearQ8& args, const std::int16_t* x, const float* x_scale, std::int64_t first,
                  std::int64_t last) {
  std::int64_t out = first;
  for (; out + 4 <= last; out += 4) all_rows<4>(args, x, x_scale, out);
  for (; out < last; ++out) all_rows<1>(args, x, x_scale, out);
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {

HWY_EXPORT(linear_block);
HWY_EXPORT(pack_rows);

/// Bytes of weight a task reads: long enough to hide the cost of taking a task, short enough that the
/// threads end together.
constexpr std::int64_t kTaskBytes = 128 << 10;

}  // namespace

void linear_q8(const LinearQ8& args, ThreadPool& pool) {
  thread_local Scratch<std::int16_t> values;
  thread_local Scratch<float> scales;
  const std::size_t count = static_cast<std::size_t>(args.n_rows * args.n_in);
  std::int16_t* x = values.get(count);
  float* x_scale = scales.get(count / kQ8Block);
  HWY_DYNAMIC_DISPATCH(pack_rows)(args, x, x_scale);

  const std::int64_t share = (args.n_out + 2 * pool.n_threads() - 1) / (2 * pool.n_threads());
  const std::int64_t outs = std::min(kTaskBytes / std::max<std::int64_t>(1, args.n_in), share);
  const std::int64_t block = std::max<std::int64_t>(1, (outs + 3) / 4) * 4;
  pool.run((args.n_out + block - 1) / block, [&](std::int64_t task) {
    HWY_DYNAMIC_DISPATCH(linear_block)
    (args, x, x_scale, task * block, std::min(args.n_out, (task + 1) * block));
  });
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
