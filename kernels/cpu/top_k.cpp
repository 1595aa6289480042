// Exact top-k: a threshold that somewhat more than k values reach, told from a sample or, where that fails,
// from a histogram of order-preserving integer keys; what reaches it is sorted (Highway's VQSort) by key,
// then index, packed into one integer.

#include "kernels/top_k.h"

#include <hwy/contrib/sort/vqsort.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/top_k.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tide::kernels::cpu::HWY_NAMESPACE {
namespace {

/// Keys ascend with the value; -0 and +0 share one, NaN has 0 and no value does.
HWY_INLINE hn::Vec<U32> key_of(V value) {
  const F d;
  const U32 du;
  const I32 di;
  const auto bits = hn::BitCast(di, hn::Add(value, hn::Zero(d)));  // -0 + 0 is +0
  const auto flip = hn::Or(hn::BitCast(du, hn::ShiftRight<31>(bits)), hn::Set(du, 0x80000000u));
  const auto key = hn::Xor(hn::BitCast(du, bits), flip);
  return hn::IfThenZeroElse(hn::RebindMask(du, hn::IsNaN(value)), key);
}

void make_keys(const float* value, std::size_t n, std::uint32_t* key) {
  const U32 du;
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(key_of(F32::load(value + i)), du, key + i);
  if (i < n) {
    std::uint32_t last[kLanes];
    hn::StoreU(key_of(load_partial<F32>(value + i, n - i)), du, last);
    std::memcpy(key + i, last, (n - i) * sizeof(*key));
  }
}

/// Indices of keys >= threshold, ascending. `index` has room for n + kLanes. Returns how many.
std::size_t collect(const std::uint32_t* key, std::size_t n, std::uint32_t threshold, std::uint32_t* index) {
  const U32 du;
  const auto low = hn::Set(du, threshold ^ 0x80000000u);
  const auto sign = hn::Set(du, 0x80000000u);
  std::size_t written = 0, i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    // Signed comparison of flipped keys: not every target compares unsigned.
    const auto k = hn::BitCast(I32(), hn::Xor(hn::LoadU(du, key + i), sign));
    const auto pass = hn::RebindMask(du, hn::Not(hn::Lt(k, hn::BitCast(I32(), low))));
    if (hn::AllFalse(du, pass)) continue;
    written += hn::CompressStore(hn::Iota(du, static_cast<std::uint32_t>(i)), pass, du, index + written);
  }
  for (; i < n; ++i) {
    if (key[i] >= threshold) index[written++] = static_cast<std::uint32_t>(i);
  }
  return written;
}

/// Indices of values >= threshold, ascending; NaN never passes. Few do, so they are picked bit by bit.
std::size_t collect_values(const float* value, std::size_t n, float threshold, std::uint32_t* index) {
  constexpr std::size_t kRun = 64;
  const F d;
  const V low = hn::Set(d, threshold);
  std::size_t written = 0, i = 0;
  for (; i + kRun <= n; i += kRun) {
    std::uint64_t pass = 0;
    for (std::size_t k = 0; k < kRun; k += kLanes) {
      std::uint8_t bits[8] = {};
      hn::StoreMaskBits(d, hn::Ge(hn::LoadU(d, value + i + k), low), bits);
      std::uint64_t mask;
      std::memcpy(&mask, bits, sizeof(mask));
      pass |= mask << k;
    }
    for (; pass != 0; pass &= pass - 1) {
      index[written++] = static_cast<std::uint32_t>(i + static_cast<std::size_t>(std::countr_zero(pass)));
    }
  }
  for (; i < n; ++i) {
    if (value[i] >= threshold) index[written++] = static_cast<std::uint32_t>(i);
  }
  return written;
}

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {

HWY_EXPORT(make_keys);
HWY_EXPORT(collect);
HWY_EXPORT(collect_values);

/// As the vectors' key_of; never of a NaN.
std::uint32_t key_of(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value + 0.0f);  // -0 + 0 is +0
  return static_cast<std::uint32_t>(bits ^ ((bits >> 31) | std::numeric_limits<std::int32_t>::min()));
}

/// Digits from the top: 12, 12 and 8 bits.
constexpr std::array<int, 3> kShift{20, 8, 0};
constexpr std::array<std::uint32_t, 3> kDigits{4096, 4096, 256};

struct Threshold {
  std::uint32_t key;   // the smallest key that is let through
  std::size_t passed;  // keys >= key
  bool exact;          // all 32 bits are decided
};

/// The largest threshold, in steps of the digits decided, that lets at least k keys through; finer
/// digits are looked at only while more than `enough` pass. k <= number of keys > 0.
Threshold find_threshold(const std::uint32_t* key, std::size_t n, std::size_t k, std::size_t enough) {
  if (n <= enough) return {0, n, false};
  std::uint32_t prefix = 0;
  std::size_t above = 0;  // keys above everything that shares the prefix
  for (std::size_t level = 0; level < kShift.size(); ++level) {
    std::array<std::uint32_t, 4096> histogram{};
    const int shift = kShift[level];
    const std::uint32_t mask = kDigits[level] - 1;
    if (level == 0) {
      for (std::size_t i = 0; i < n; ++i) ++histogram[key[i] >> shift];
    } else {
      const int shared = kShift[level - 1];
      for (std::size_t i = 0; i < n; ++i) {
        if (key[i] >> shared == prefix >> shared) ++histogram[(key[i] >> shift) & mask];
      }
    }
    std::uint32_t digit = mask;
    while (above + histogram[digit] < k) above += histogram[digit--];
    prefix |= digit << shift;
    const std::size_t passed = above + histogram[digit];
    if (passed <= enough || level + 1 == kShift.size()) {
      return {prefix, passed, level + 1 == kShift.size()};
    }
  }
  return {};
}

/// Keeps the first k of ascending `index` by key alone: everything above the threshold key, then
/// equals while there is room. Only for an exact threshold.
std::size_t drop_late_ties(const std::uint32_t* key, std::uint32_t threshold, std::uint32_t* index,
                           std::size_t count, std::size_t k) {
  std::size_t greater = 0;
  for (std::size_t i = 0; i < count; ++i) greater += key[index[i]] > threshold;
  std::size_t room = k - greater, kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool tie = key[index[i]] == threshold;
    if (tie && room == 0) continue;
    room -= tie;
    index[kept++] = index[i];
  }
  return kept;
}

/// A value that somewhat more than k of the n values should reach, told from a sample spread over them.
/// A guess only: NaN where the sample does not allow one.
float guess_threshold(const float* value, std::size_t n, std::size_t k) {
  constexpr std::size_t kSample = 512, kBins = 256;
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  // The sample's share of the k largest, and 2.5 standard deviations more, so that a guess rarely
  // lets fewer than k through.
  const float expected = static_cast<float>(kSample) * static_cast<float>(k) / static_cast<float>(n);
  const auto rank = static_cast<std::size_t>(expected + 2.5f * std::sqrt(expected) + 3.0f);
  if (n < 4 * kSample || rank > kSample / 2) return kNone;
  std::array<float, kSample> sample;
  const std::size_t stride = n / kSample;
  for (std::size_t i = 0; i < kSample; ++i) sample[i] = value[i * stride];
  float low = sample[0], high = sample[0];
  for (const float v : sample) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const float width = (high - low) / kBins;
  if (!(width > 0) || !std::isfinite(width)) return kNone;
  std::array<std::uint16_t, kBins + 1> count{};
  for (const float v : sample) {
    const float bin = (v - low) / width;
    ++count[bin >= 0 && bin < kBins ? static_cast<std::size_t>(bin) : (bin >= kBins ? kBins : 0)];
  }
  std::size_t bin = kBins, above = count[kBins];
  while (above < rank) above += count[--bin];
  return low + static_cast<float>(bin) * width;
}

/// Ascends as (key falls, index rises).
std::uint64_t packed(std::uint32_t key, std::uint32_t index) { return (std::uint64_t{~key} << 32) | index; }

/// Where every value that may be among the k largest stands, ascending; 0: not found out.
std::size_t narrow_down(const float* value, std::size_t n, std::size_t k, std::uint32_t* index) {
  const float guess = guess_threshold(value, n, k);
  if (std::isnan(guess)) return 0;
  const std::size_t count = HWY_DYNAMIC_DISPATCH(collect_values)(value, n, guess, index);
  return count >= k && count <= n / 2 ? count : 0;
}

/// The same without a guess, by keys: [n]. With many ties at the threshold, as few as are needed.
std::size_t narrow_down_by_key(const float* value, std::size_t n, std::size_t k, std::uint32_t* key,
                               std::uint32_t* index) {
  HWY_DYNAMIC_DISPATCH(make_keys)(value, n, key);
  const Threshold threshold = find_threshold(key, n, k, 4 * k + 64);
  // NaN has key 0, which may only pass when fewer than k values are numbers.
  const std::size_t count = HWY_DYNAMIC_DISPATCH(collect)(key, n, std::max(threshold.key, 1u), index);
  if (!threshold.exact || count <= k) return count;
  return drop_late_ties(key, threshold.key, index, count, k);
}

}  // namespace

std::int64_t top_k(const TopK& args) {
  constexpr std::size_t kSpare = 64;  // vector stores may write past what they count
  thread_local Scratch<std::uint32_t> scratch;
  thread_local Scratch<std::uint64_t> order_scratch;
  thread_local hwy::Sorter sort;
  const std::size_t n = static_cast<std::size_t>(args.n);
  const std::size_t k = static_cast<std::size_t>(std::clamp<std::int64_t>(args.k, 0, args.n));
  if (k == 0) return 0;
  std::uint32_t* index = scratch.get(2 * (n + kSpare));
  std::size_t count = narrow_down(args.value, n, k, index);
  if (count == 0) count = narrow_down_by_key(args.value, n, k, index + n + kSpare, index);
  std::uint64_t* order = order_scratch.get(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = packed(key_of(args.value[index[i]]), index[i]);
  if (count > 1) sort(order, count, hwy::SortAscending());
  const std::size_t found = std::min(k, count);
  for (std::size_t i = 0; i < found; ++i) {
    const auto at = static_cast<std::uint32_t>(order[i]);
    args.index[i] = static_cast<std::int32_t>(at);
    if (args.top_value) args.top_value[i] = args.value[at];
  }
  return static_cast<std::int64_t>(found);
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
