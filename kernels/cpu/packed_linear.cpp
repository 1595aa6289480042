// y = x W^T for many rows: W in fp32 panels that a register tile reads without a stride, n_in cut so
// that a panel's cut stays in the first cache while every row passes over it.

#include "kernels/packed_linear.h"

#include <algorithm>

#include "kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/packed_linear.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

/// Inputs of a cut at most: 18 KiB of a panel, beside a tile's rows of x.
constexpr std::size_t kMaxCut = 288;

static_assert(kPanel == kPanelOuts);

/// `outs` <= kPanel rows of the weight from `first_out` on become one panel.
template <typename T>
void pack_panel(const PackWeight& args, std::size_t first_out) {
  const auto n_in = static_cast<std::size_t>(args.n_in);
  const std::size_t outs = std::min(kPanel, static_cast<std::size_t>(args.n_out) - first_out);
  const auto* weight = static_cast<const typename T::Raw*>(args.weight) + first_out * n_in;
  float* panel = args.packed + first_out * n_in;
  std::size_t i = 0;
  for (; i + kLanes <= n_in; i += kLanes) {
    for (std::size_t o = 0; o < kPanel; o += 4) {
      const auto load = [&](std::size_t k) {
        return o + k < outs ? T::load(weight + (o + k) * n_in + i) : hn::Zero(F());
      };
      store_transposed(load(0), load(1), load(2), load(3), panel + i * kPanel + o, kPanel);
    }
  }
  for (; i < n_in; ++i) {
    for (std::size_t o = 0; o < kPanel; ++o) {
      panel[i * kPanel + o] = o < outs ? hn::GetLane(load_partial<T>(weight + o * n_in + i, 1)) : 0.0f;
    }
  }
}

void pack(const PackWeight& args, std::size_t first_out) {
  with_type(args.dtype, [&](auto type) { pack_panel<decltype(type)>(args, first_out); });
}

/// One cut of the inputs: every row, every output.
template <bool kAdd>
void multiply_cut(const PackedLinear& args, std::size_t first, std::size_t count) {
  const auto n_in = static_cast<std::size_t>(args.n_in), n_out = static_cast<std::size_t>(args.n_out);
  const auto rows = static_cast<std::size_t>(args.n_rows);
  const std::size_t whole = n_out / kPanel * kPanel, rest = n_out - whole;
  const float* packed = args.packed + first * kPanel;
  multiply_panels<kAdd>(args.x + first, n_in, rows, packed, n_in * kPanel, count, whole, args.y, n_out);
  if (rest == 0) return;
  // The last outputs do not fill a panel, and what stands behind them in y is the next row's.
  for (std::size_t r = 0; r < rows; r += kTileRows) {
    const std::size_t tile_rows = std::min(kTileRows, rows - r);
    float tile[kTileRows * kPanel] = {};
    float* y = args.y + r * n_out + whole;
    for (std::size_t k = 0; kAdd && k < tile_rows; ++k) std::copy_n(y + k * n_out, rest, tile + k * kPanel);
    multiply_panels<kAdd>(args.x + r * n_in + first, n_in, tile_rows, packed + whole * n_in, n_in * kPanel,
                          count, kPanel, tile, kPanel);
    for (std::size_t k = 0; k < tile_rows; ++k) std::copy_n(tile + k * kPanel, rest, y + k * n_out);
  }
}

void packed_linear(const PackedLinear& args) {
  const auto n_in = static_cast<std::size_t>(args.n_in);
  const std::size_t cuts = (n_in + kMaxCut - 1) / kMaxCut;
  const std::size_t cut = (n_in + cuts - 1) / cuts;
  for (std::size_t first = 0; first < n_in; first += cut) {
    const std::size_t count = std::min(cut, n_in - first);
    if (first > 0 || args.add) {
      multiply_cut<true>(args, first, count);
    } else {
      multiply_cut<false>(args, first, count);
    }
  }
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {
HWY_EXPORT(pack);
HWY_EXPORT(packed_linear);
}  // namespace

void pack_weight(const PackWeight& args, ThreadPool& pool) {
  pool.run((args.n_out + kPanelOuts - 1) / kPanelOuts, [&](std::int64_t panel) {
    HWY_DYNAMIC_DISPATCH(pack)(args, static_cast<std::size_t>(panel * kPanelOuts));
  });
}

void packed_linear(const PackedLinear& args) { HWY_DYNAMIC_DISPATCH(packed_linear)(args); }

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
