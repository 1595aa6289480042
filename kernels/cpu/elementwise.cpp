// RMSNorm, rotary embedding, gated SiLU and type conversion. One row at a time: nothing here sees a batch.

#include "kernels/elementwise.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

/// Runs `body(offset, load, store)` over n fp32 elements: whole vectors, then the rest through buffers.
template <typename Body>
HWY_INLINE void for_each_vector(std::size_t n, const Body& body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    body(
        i, [&](const float* p) { return F32::load(p + i); }, [&](V v, float* p) { F32::store(v, p + i); });
  }
  if (i == n) return;
  const std::size_t rest = n - i;
  body(
      i, [&](const float* p) { return load_partial<F32>(p + i, rest); },
      [&](V v, float* p) { store_partial<F32>(v, p + i, rest); });
}

float sum_of_squares(const float* x, std::size_t n) {
  const F d;
  V acc[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (std::size_t k = 0; k < 4; ++k) {
      const V v = F32::load(x + i + k * kLanes);
      acc[k] = hn::MulAdd(v, v, acc[k]);
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    const V v = F32::load(x + i);
    acc[0] = hn::MulAdd(v, v, acc[0]);
  }
  if (i < n) {
    const V v = load_partial<F32>(x + i, n - i);
    acc[1] = hn::MulAdd(v, v, acc[1]);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(acc[0], acc[1]), hn::Add(acc[2], acc[3]))));
}

void rms_norm(const RmsNorm& args) {
  const F d;
  const std::size_t n = static_cast<std::size_t>(args.n);
  for (std::size_t r = 0; r < static_cast<std::size_t>(args.n_rows); ++r) {
    const float* x = args.x + r * n;
    float* y = args.y + r * n;
    const V scale = hn::Set(d, 1.0f / std::sqrt(sum_of_squares(x, n) / static_cast<float>(n) + args.epsilon));
    for_each_vector(n, [&](std::size_t, const auto& load, const auto& store) {
      store(hn::Mul(hn::Mul(load(x), scale), load(args.weight)), y);
    });
  }
}

void rope(const Rope& args) {
  const std::size_t half = static_cast<std::size_t>(args.head_dim / 2);
  for (std::size_t h = 0; h < static_cast<std::size_t>(args.n_heads); ++h) {
    float* first = args.x + h * 2 * half;
    float* second = first + half;
    for_each_vector(half, [&](std::size_t, const auto& load, const auto& store) {
      const V a = load(first), b = load(second), cosine = load(args.cosine), sine = load(args.sine);
      store(hn::NegMulAdd(b, sine, hn::Mul(a, cosine)), first);
      store(hn::MulAdd(a, sine, hn::Mul(b, cosine)), second);
    });
  }
}

void silu_mul(const SiluMul& args) {
  const F d;
  const std::size_t n = static_cast<std::size_t>(args.n);
  for (std::size_t r = 0; r < static_cast<std::size_t>(args.n_rows); ++r) {
    const float* gate = args.gate_up + r * 2 * n;
    for_each_vector(n, [&](std::size_t, const auto& load, const auto& store) {
      const V g = load(gate);
      const V silu = hn::Div(g, hn::Add(hn::Set(d, 1.0f), exp(hn::Neg(g))));
      store(hn::Mul(silu, load(gate + n)), args.y + r * n);
    });
  }
}

void convert(const Convert& args) {
  const std::size_t count = static_cast<std::size_t>(args.count);
  with_type(args.from_dtype, [&](auto from_type) {
    with_type(args.to_dtype, [&](auto to_type) {
      using From = decltype(from_type);
      using To = decltype(to_type);
      const auto* from = static_cast<const typename From::Raw*>(args.from);
      auto* to = static_cast<typename To::Raw*>(args.to);
      std::size_t i = 0;
      for (; i + kLanes <= count; i += kLanes) To::store(From::load(from + i), to + i);
      if (i < count) store_partial<To>(load_partial<From>(from + i, count - i), to + i, count - i);
    });
  });
}

void dequantise_q8(const DequantiseQ8& args) {
  const F d;
  const hn::Rebind<std::int8_t, F> d8;
  const std::size_t n_blocks = static_cast<std::size_t>(args.count / kQ8Block);
  with_type(args.to_dtype, [&](auto type) {
    using To = decltype(type);
    auto* to = static_cast<typename To::Raw*>(args.to);
    HWY_ALIGN float scale[kLanes];
    for (std::size_t b = 0; b < n_blocks; ++b) {
      if (b % kLanes == 0) {
        const std::size_t left = n_blocks - b;
        hn::Store(left < kLanes ? load_partial<F16>(args.scale + b, left) : F16::load(args.scale + b), d,
                  scale);
      }
      const V of_block = hn::Set(d, scale[b % kLanes]);
      for (std::size_t i = b * kQ8Block; i < (b + 1) * kQ8Block; i += kLanes) {
        const V value = hn::ConvertTo(d, hn::PromoteTo(I32(), hn::LoadU(d8, args.weight + i)));
        To::store(hn::Mul(of_block, value), to + i);
      }
    }
  });
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {
HWY_EXPORT(rms_norm);
HWY_EXPORT(rope);
HWY_EXPORT(silu_mul);
HWY_EXPORT(convert);
HWY_EXPORT(dequantise_q8);
}  // namespace

void rms_norm(const RmsNorm& args) { HWY_DYNAMIC_DISPATCH(rms_norm)(args); }
void rope(const Rope& args) { HWY_DYNAMIC_DISPATCH(rope)(args); }
void silu_mul(const SiluMul& args) { HWY_DYNAMIC_DISPATCH(silu_mul)(args); }
void convert(const Convert& args) { HWY_DYNAMIC_DISPATCH(convert)(args); }
void dequantise_q8(const DequantiseQ8& args) { HWY_DYNAMIC_DISPATCH(dequantise_q8)(args); }

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
