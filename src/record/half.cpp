#include "record/half.h"

#include "base/float16.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tide::record {

namespace {

void to_half_plain(const float* value, std::int64_t n, std::uint16_t* half) {
  for (std::int64_t i = 0; i < n; ++i) half[i] = float_to_half(value[i]);
}

void from_half_plain(const std::uint16_t* half, std::int64_t n, float* value) {
  for (std::int64_t i = 0; i < n; ++i) value[i] = half_to_float(half[i]);
}

#if defined(__x86_64__)
// The compiler would vectorise the plain loop only with -mf16c for the whole program.
__attribute__((target("avx,f16c"))) void to_half_f16c(const float* value, std::int64_t n,
                                                      std::uint16_t* half) {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i packed = _mm256_cvtps_ph(_mm256_loadu_ps(value + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(half + i), packed);
  }
  to_half_plain(value + i, n - i, half + i);
}

__attribute__((target("avx,f16c"))) void from_half_f16c(const std::uint16_t* half, std::int64_t n,
                                                        float* value) {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(value + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(half + i))));
  }
  from_half_plain(half + i, n - i, value + i);
}

bool has_f16c() {
  static const bool has = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
  return has;
}
#endif

}  // namespace

void to_half(const float* value, std::int64_t n, std::uint16_t* half) {
#if defined(__x86_64__)
  if (has_f16c()) return to_half_f16c(value, n, half);
#endif
  to_half_plain(value, n, half);
}

void from_half(const std::uint16_t* half, std::int64_t n, float* value) {
#if defined(__x86_64__)
  if (has_f16c()) return from_half_f16c(half, n, value);
#endif
  from_half_plain(half, n, value);
}

}  // namespace tide::record
