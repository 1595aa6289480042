// What the vector kernels share: loading the element types as fp32, exp, and sums over lanes.
// Included once a Highway target (hence no plain guard).

#if defined(TIDE_KERNELS_CPU_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TIDE_KERNELS_CPU_VECTOR_INL_H_
#undef TIDE_KERNELS_CPU_VECTOR_INL_H_
#else
#define TIDE_KERNELS_CPU_VECTOR_INL_H_
#endif
#undef TIDE_INLINE_LAMBDA

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/float16.h"
#include "kernels/types.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using V = hn::Vec<F>;
using U16 = hn::Rebind<std::uint16_t, F>;
using U32 = hn::Rebind<std::uint32_t, F>;
using I32 = hn::Rebind<std::int32_t, F>;
/// Lanes of an fp32 vector; the targets built here all have a fixed width.
constexpr std::size_t kLanes = hn::MaxLanes(F());

/// A lambda that must become part of its caller: what it captures stays in registers then.
#define TIDE_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

/// Calls fn(std::integral_constant<std::size_t, I>()) for I = 0 .. N - 1. An array of vectors stays in
/// registers only where the compiler sees constant indices from the start, which loops do not promise.
template <std::size_t N, std::size_t I = 0, typename Fn>
HWY_INLINE void unrolled(const Fn& fn) {
  if constexpr (I < N) {
    fn(std::integral_constant<std::size_t, I>());
    unrolled<N, I + 1>(fn);
  }
}

/// Element types: how an array stores a value, and how kLanes of them become an fp32 vector.
struct F32 {
  using Raw = float;
  static HWY_INLINE V load(const Raw* p) { return hn::LoadU(F(), p); }
  static HWY_INLINE void store(V v, Raw* p) { hn::StoreU(v, F(), p); }
};

struct F16 {
  using Raw = std::uint16_t;
#if HWY_TARGET == HWY_SSE4
  // Without conversion instructions Highway's own emulation neither rounds to nearest nor keeps
  // subnormals, so go value by value.
  static HWY_INLINE V load(const Raw* p) {
    float buffer[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) buffer[i] = half_to_float(p[i]);
    return hn::LoadU(F(), buffer);
  }
  static HWY_INLINE void store(V v, Raw* p) {
    float buffer[kLanes];
    hn::StoreU(v, F(), buffer);
    for (std::size_t i = 0; i < kLanes; ++i) p[i] = float_to_half(buffer[i]);
  }
#else
  using Tag = hn::Rebind<hwy::float16_t, F>;
  static HWY_INLINE V load(const Raw* p) {
    return hn::PromoteTo(F(), hn::LoadU(Tag(), reinterpret_cast<const hwy::float16_t*>(p)));
  }
  static HWY_INLINE void store(V v, Raw* p) {
    hn::StoreU(hn::DemoteTo(Tag(), v), Tag(), reinterpret_cast<hwy::float16_t*>(p));
  }
#endif
};

struct BF16 {
  using Raw = std::uint16_t;
  static HWY_INLINE V load(const Raw* p) {
    return hn::BitCast(F(), hn::ShiftLeft<16>(hn::PromoteTo(U32(), hn::LoadU(U16(), p))));
  }
  /// Round to nearest even; a NaN keeps its sign and stays one.
  static HWY_INLINE void store(V v, Raw* p) {
    const U32 d;
    const auto bits = hn::BitCast(d, v);
    const auto high = hn::ShiftRight<16>(bits);
    const auto bias = hn::Add(hn::Set(d, 0x7fffu), hn::And(high, hn::Set(d, 1u)));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, bias));
    const auto quiet = hn::Or(high, hn::Set(d, 0x40u));
    const auto is_nan = hn::RebindMask(d, hn::IsNaN(v));
    hn::StoreU(hn::DemoteTo(U16(), hn::BitCast(I32(), hn::IfThenElse(is_nan, quiet, rounded))), U16(), p);
  }
};

/// Calls fn(F32{}), fn(F16{}) or fn(BF16{}).
template <typename Fn>
HWY_INLINE void with_type(DType dtype, const Fn& fn) {
  switch (dtype) {
    case DType::f32:
      return fn(F32());
    case DType::f16:
      return fn(F16());
    case DType::bf16:
      return fn(BF16());
  }
}

/// The first `count` < kLanes elements, zeros behind them; reads nothing past them.
template <typename T>
HWY_INLINE V load_partial(const typename T::Raw* p, std::size_t count) {
  typename T::Raw buffer[kLanes] = {};
  std::memcpy(buffer, p, count * sizeof(*p));
  return T::load(buffer);
}

/// Elements a step: two vectors' worth, which load_first and load_second yield.
constexpr std::size_t kStep = 2 * kLanes;

template <typename T>
HWY_INLINE V load_first(const typename T::Raw* p) {
  return T::load(p);
}
template <typename T>
HWY_INLINE V load_second(const typename T::Raw* p) {
  return T::load(p + kLanes);
}

/// bf16 pairs split into even and odd elements: shifts, no widening. What meets them is packed in the
/// same order (pack_steps).
template <>
HWY_INLINE V load_first<BF16>(const std::uint16_t* p) {
  const hn::Repartition<std::uint16_t, F> d16;
  return hn::BitCast(F(), hn::ShiftLeft<16>(hn::BitCast(U32(), hn::LoadU(d16, p))));
}
template <>
HWY_INLINE V load_second<BF16>(const std::uint16_t* p) {
  const hn::Repartition<std::uint16_t, F> d16;
  const auto pairs = hn::BitCast(U32(), hn::LoadU(d16, p));
  // A mask would take one of the 16 registers that the tiles are cut for.
  if constexpr (kLanes < 16) return hn::BitCast(F(), hn::ShiftLeft<16>(hn::ShiftRight<16>(pairs)));
  return hn::BitCast(F(), hn::And(pairs, hn::Set(U32(), 0xffff0000u)));
}

/// n fp32 values in the order of a step of `dtype`, step by step; zeros up to a whole step.
HWY_INLINE void pack_steps(DType dtype, const float* x, std::size_t n, float* packed) {
  const F d;
  for (std::size_t i = 0; i < n; i += kStep) {
    float last[kStep] = {};
    const float* from = x + i;
    if (n - i < kStep) {
      std::memcpy(last, from, (n - i) * sizeof(float));
      from = last;
    }
    V first, second;
    if (dtype == DType::bf16) {
      hn::LoadInterleaved2(d, from, first, second);
    } else {
      first = hn::LoadU(d, from);
      second = hn::LoadU(d, from + kLanes);
    }
    hn::Store(first, d, packed + i);
    hn::Store(second, d, packed + i + kLanes);
  }
}

/// Undoes pack_steps.
HWY_INLINE void unpack_steps(DType dtype, const float* packed, std::size_t n, float* x) {
  const F d;
  for (std::size_t i = 0; i < n; i += kStep) {
    const V first = hn::Load(d, packed + i), second = hn::Load(d, packed + i + kLanes);
    float step[kStep];
    if (dtype == DType::bf16) {
      hn::StoreInterleaved2(first, second, d, step);
    } else {
      hn::StoreU(first, d, step);
      hn::StoreU(second, d, step + kLanes);
    }
    std::memcpy(x + i, step, std::min(kStep, n - i) * sizeof(float));
  }
}

template <typename T>
HWY_INLINE void store_partial(V v, typename T::Raw* p, std::size_t count) {
  typename T::Raw buffer[kLanes];
  T::store(v, buffer);
  std::memcpy(p, buffer, count * sizeof(*p));
}

/// exp(x) within 2 units in the last place; 0 below the smallest normal result, infinity above the
/// largest finite one, NaN stays NaN. x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor
/// polynomial of degree 7 (remainder below 6e-9), then 2^n by the exponent field, in two halves so
/// that n = 128 does not overflow early.
HWY_INLINE V exp(V x) {
  const F d;
  const I32 di;
  const V low = hn::Set(d, -87.33654f);
  const V high = hn::Set(d, 88.72284f);
  const V n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  // ln 2 in two parts: the first has 15 bits, so that n times it is exact.
  V r = hn::NegMulAdd(n, hn::Set(d, 0x1.62e4p-1f), x);
  r = hn::NegMulAdd(n, hn::Set(d, 1.42860682e-6f), r);
  V p = hn::Set(d, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto whole = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto one = hn::Set(di, 127);
  const V scale_a = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, one)));
  const V scale_b = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(whole, half), one)));
  V y = hn::Mul(hn::Mul(p, scale_a), scale_b);
  y = hn::IfThenZeroElse(hn::Lt(x, low), y);
  return hn::IfThenElse(hn::Gt(x, high), hn::Inf(d), y);
}

/// exp(x) for x <= 1, as softmax needs it, in half the instructions: within 2 units in the last place,
/// 0 below -86.6 (2^-125), NaN stays NaN. The same polynomial; x / ln 2 is rounded by adding 1.5 * 2^23,
/// whose low bits then hold the integer that goes to the exponent field.
HWY_INLINE V exp_of_low(V x) {
  const F d;
  const U32 du;
  const V magic = hn::Set(d, 12582912.0f);
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), magic);
  const V n = hn::Sub(shifted, magic);
  V r = hn::NegMulAdd(n, hn::Set(d, 0x1.62e4p-1f), x);
  r = hn::NegMulAdd(n, hn::Set(d, 1.42860682e-6f), r);
  V p = hn::Set(d, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(du, shifted));
  const V y = hn::BitCast(d, hn::Add(hn::BitCast(du, p), exponent));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -86.6f)), y);
}

/// Adds the 128-bit blocks of `v`.
template <typename D>
HWY_INLINE hn::Vec<hn::Full128<float>> sum_of_blocks(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    (void)d;
    return v;
  } else {
    const hn::Half<D> half;
    return sum_of_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

/// {sum of a's lanes, of b's, of c's, of e's}. Each sum is formed in the same order whatever stands
/// in the other three.
HWY_INLINE hn::Vec<hn::Full128<float>> sums_of_lanes(V a, V b, V c, V e) {
  const F d;
  const hn::Repartition<double, F> d64;
  const V ab = hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
  const V ce = hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e));
  const auto ab64 = hn::BitCast(d64, ab), ce64 = hn::BitCast(d64, ce);
  const V even = hn::BitCast(d, hn::InterleaveLower(d64, ab64, ce64));
  const V odd = hn::BitCast(d, hn::InterleaveUpper(d64, ab64, ce64));
  return sum_of_blocks(d, hn::Add(even, odd));
}

}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // TIDE_KERNELS_CPU_VECTOR_INL_H_
