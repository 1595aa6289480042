// y = x W^T on panels of 16 outputs. One row is bound by reading W, which is one stream a thread; several
// rows share each weight through register tiles. Every (row, output) is one chain of multiply-adds over
// n_in in every tile shape: that is what keeps a row's bits its own.

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

/// How far ahead of the weights in use memory is asked for the next ones.
constexpr std::size_t kPrefetchBytes = 2048;

/// What a register tile holds: kTileRows * kTileVectors accumulators, beside kTileVectors weights, an input
/// and a mask, in 16 registers (32 where they are 16 lanes wide).
constexpr std::size_t kOuts = kPanelOuts;
constexpr std::size_t kPanelVectors = kOuts / kLanes;
constexpr std::size_t kTilePanels = kLanes >= 16 ? 2 : 1;
constexpr std::size_t kTileRows = kLanes >= 8 ? 6 : 3;

/// The first (or only) and second input of a row of words: kLanes outputs from word `p` on.
template <typename T>
HWY_INLINE V load_even(const float* p);
template <>
HWY_INLINE V load_even<F32>(const float* p) {
  return hn::LoadU(F(), p);
}
template <>
HWY_INLINE V load_even<BF16>(const float* p) {
  return hn::BitCast(F(), hn::ShiftLeft<16>(hn::BitCast(U32(), hn::LoadU(F(), p))));
}
HWY_INLINE V load_odd(const float* p) {
  return hn::BitCast(F(), hn::And(hn::BitCast(U32(), hn::LoadU(F(), p)), hn::Set(U32(), 0xffff0000u)));
}

/// acc[r, v] += x[r] * weight(v)
template <std::size_t kRows, std::size_t kVectors, typename Weight>
HWY_INLINE void add_input(const float* x, std::size_t pitch, const Weight& weight_of,
                          V (&acc)[kRows * kVectors]) {
  V weight[kVectors];
  unrolled<kVectors>([&](auto v) TIDE_INLINE_LAMBDA { weight[v] = weight_of(v); });
  unrolled<kRows>([&](auto r) TIDE_INLINE_LAMBDA {
    const V input = hn::Set(F(), x[r * pitch]);
    unrolled<kVectors>([&](auto v) TIDE_INLINE_LAMBDA {
      acc[r * kVectors + v] = hn::MulAdd(weight[v], input, acc[r * kVectors + v]);
    });
  });
}

/// A cut through the inputs, for a few panels of outputs and every row. Sums that another cut goes on with
/// wait in `partial`.
struct Cut {
  const Linear& args;
  std::size_t begin, end;  // of n_in; begin even
  float* partial;          // [panels of the group, n_rows, kOuts]
  std::size_t first_panel;
};

/// Sums of one row and one panel into y.
HWY_INLINE void finish(const Linear& args, std::size_t row, std::size_t panel, const float* sums) {
  const F d;
  const auto n_out = static_cast<std::size_t>(args.n_out), first = panel * kOuts;
  const std::size_t at = row * n_out + first;
  if (first + kOuts > n_out || args.bias != nullptr) {
    for (std::size_t o = 0; o < std::min(kOuts, n_out - first); ++o) {
      float value = sums[o];
      if (args.bias) value += args.bias[first + o];
      if (args.residual) value += args.residual[at + o];
      args.y[at + o] = value;
    }
    return;
  }
  for (std::size_t o = 0; o < kOuts; o += kLanes) {
    V value = hn::Load(d, sums + o);
    if (args.residual) value = hn::Add(value, hn::LoadU(d, args.residual + at + o));
    hn::StoreU(value, d, args.y + at + o);
  }
}

/// kRows rows from `row` on and kPanels panels from `panel` on.
template <typename T, std::size_t kRows, std::size_t kPanels>
HWY_NOINLINE void tile(const Cut& cut, std::size_t row, std::size_t panel) {
  constexpr std::size_t kInWord = 4 / sizeof(typename T::Raw), kVectors = kPanels * kPanelVectors;
  const F d;
  const auto n_in = static_cast<std::size_t>(cut.args.n_in),
             n_rows = static_cast<std::size_t>(cut.args.n_rows);
  const std::size_t pitch = (n_in + kInWord - 1) / kInWord * kOuts;
  const float* words = static_cast<const float*>(cut.args.weight) + panel * pitch;
  const float* x = cut.args.x + row * n_in;
  const auto from = [&](std::size_t i, std::size_t v) TIDE_INLINE_LAMBDA {
    return words + v / kPanelVectors * pitch + i / kInWord * kOuts + v % kPanelVectors * kLanes;
  };
  const auto partial = [&](std::size_t r, std::size_t v) TIDE_INLINE_LAMBDA {
    return cut.partial + ((panel - cut.first_panel + v / kPanelVectors) * n_rows + row + r) * kOuts +
           v % kPanelVectors * kLanes;
  };
  V acc[kRows * kVectors];
  unrolled<kRows * kVectors>([&](auto k) TIDE_INLINE_LAMBDA {
    acc[k] = cut.begin == 0 ? hn::Zero(d) : hn::Load(d, partial(k / kVectors, k % kVectors));
  });
  const bool prefetch = row == 0;  // the weights come from memory once, with the first rows
  const auto even = [&](std::size_t i) TIDE_INLINE_LAMBDA {
    add_input<kRows, kVectors>(
        x + i, n_in, [&](auto v) TIDE_INLINE_LAMBDA { return load_even<T>(from(i, v)); }, acc);
  };
  std::size_t i = cut.begin;
  for (; i + kInWord <= cut.end; i += kInWord) {
    if (prefetch) {
      for (std::size_t p = 0; p < kPanels; ++p) {
        hwy::Prefetch(reinterpret_cast<const std::byte*>(from(i, p * kPanelVectors)) + kPrefetchBytes);
      }
    }
    even(i);
    if constexpr (kInWord == 2) {
      HWY_FENCE;  // the words are loaded again, so that no register holds them meanwhile
      add_input<kRows, kVectors>(
          x + i + 1, n_in, [&](auto v) TIDE_INLINE_LAMBDA { return load_odd(from(i, v)); }, acc);
    }
  }
  if (i < cut.end) even(i);
  if (cut.end < n_in) {
    unrolled<kRows * kVectors>(
        [&](auto k) TIDE_INLINE_LAMBDA { hn::Store(acc[k], d, partial(k / kVectors, k % kVectors)); });
    return;
  }
  HWY_ALIGN float sums[kRows * kVectors * kLanes];
  unrolled<kRows * kVectors>([&](auto k) TIDE_INLINE_LAMBDA { hn::Store(acc[k], d, sums + k * kLanes); });
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t p = 0; p < kPanels; ++p)
      finish(cut.args, row + r, panel + p, sums + (r * kPanels + p) * kOuts);
  }
}

/// Every row of kPanels panels.
template <typename T, std::size_t kPanels>
void all_rows(const Cut& cut, std::size_t panel) {
  const auto n_rows = static_cast<std::size_t>(cut.args.n_rows);
  std::size_t row = 0;
  for (; row + kTileRows <= n_rows; row += kTileRows) tile<T, kTileRows, kPanels>(cut, row, panel);
  const std::size_t rest = n_rows - row;
  unrolled<kTileRows - 1>([&](auto less) {
    if (rest == less + 1) tile<T, less + 1, kPanels>(cut, row, panel);
  });
}

/// Panels first .. last - 1 of every row, on this thread.
template <typename T>
void some_panels(const Linear& args, std::size_t first, std::size_t last) {
  // Inputs of a cut: rows and a panel's part of it stay in the caches while panels and rows pass by.
  constexpr std::size_t kCut = 1024, kGroup = 8;
  thread_local Scratch<float> scratch;
  const auto n_in = static_cast<std::size_t>(args.n_in), n_rows = static_cast<std::size_t>(args.n_rows);
  float* partial = n_in > kCut ? scratch.get(kGroup * n_rows * kOuts) : nullptr;
  for (std::size_t group = first; group < last; group += kGroup) {
    const std::size_t end = std::min(group + kGroup, last);
    Cut cut{args, 0, 0, partial, group};
    do {
      cut.begin = cut.end;
      cut.end = std::min(cut.begin + kCut, n_in);
      std::size_t panel = group;
      for (; panel + kTilePanels <= end; panel += kTilePanels) all_rows<T, kTilePanels>(cut, panel);
      for (; panel < end; ++panel) all_rows<T, 1>(cut, panel);
    } while (cut.end < n_in);
  }
}

void multiply(const Linear& args, std::size_t first, std::size_t last) {
  return args.dtype == DType::f32 ? some_panels<F32>(args, first, last)
                                  : some_panels<BF16>(args, first, last);
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {

HWY_EXPORT(multiply);

/// Bytes of weight a task reads: long enough to hide the cost of taking a task, short enough that the
/// threads end together.
constexpr std::int64_t kTaskBytes = 128 << 10;

std::int64_t panels_of(const Linear& args) { return (args.n_out + kPanelOuts - 1) / kPanelOuts; }

}  // namespace

void linear(const Linear& args, ThreadPool& pool) {
  if (args.n_rows == 0) return;
  const std::int64_t panels = panels_of(args), panel_bytes = panels_bytes(args.n_in, kPanelOuts, args.dtype);
  const std::int64_t share = (panels + 2 * pool.n_threads() - 1) / (2 * pool.n_threads());
  const std::int64_t task =
      std::max<std::int64_t>(1, std::min(kTaskBytes / std::max<std::int64_t>(1, panel_bytes), share));
  pool.run((panels + task - 1) / task, [&](std::int64_t t) {
    HWY_DYNAMIC_DISPATCH(multiply)
    (args, static_cast<std::size_t>(t * task), static_cast<std::size_t>(std::min(panels, (t + 1) * task)));
  });
}

void linear(const Linear& args) {
  if (args.n_rows == 0) return;
  HWY_DYNAMIC_DISPATCH(multiply)(args, 0, static_cast<std::size_t>(panels_of(args)));
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
