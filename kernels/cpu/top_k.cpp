// Exact top-k by radix selection: order-preserving integer keys and a histogram of their high bits
// give a threshold; what passes it is collected in order of index and sorted by a stable radix sort,
// so that the smaller index comes first in ties without being part of the key.

#include "kernels/top_k.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

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

/// Sorts indices by falling key; equal keys keep their order. Least significant digit first; digits are
/// of the distance from the largest key, so that close keys take few of them.
std::uint32_t* sort_by_key(const std::uint32_t* key, std::uint32_t* index, std::uint32_t* other,
                           std::size_t n) {
  constexpr int kDigitBits = 9, kMaxDigits = 4;
  std::uint32_t low = key[index[0]], high = low;
  for (std::size_t i = 1; i < n; ++i) {
    low = std::min(low, key[index[i]]);
    high = std::max(high, key[index[i]]);
  }
  const int bits = static_cast<int>(std::bit_width(high - low));
  const int digits = (bits + kDigitBits - 1) / kDigitBits;
  if (digits == 0) return index;
  const int width = (bits + digits - 1) / digits;
  const std::uint32_t mask = (1u << width) - 1;
  std::array<std::array<std::uint32_t, 1 << kDigitBits>, kMaxDigits> start{};
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t distance = high - key[index[i]];
    for (int d = 0; d < digits; ++d) ++start[static_cast<std::size_t>(d)][(distance >> (d * width)) & mask];
  }
  for (int d = 0; d < digits; ++d) {
    auto& first = start[static_cast<std::size_t>(d)];
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i <= mask; ++i) sum += std::exchange(first[i], sum);
    for (std::size_t i = 0; i < n; ++i) {
      other[first[((high - key[index[i]]) >> (d * width)) & mask]++] = index[i];
    }
    std::swap(index, other);
  }
  return index;
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

/// The working memory of a call: keys and two lists of indices, with room for whole vectors.
struct Lists {
  std::uint32_t *key, *index, *other;
};

/// Indices, in order of rank, of the k largest of n values; `lists` has room for n of each.
/// Returns how many there are, and the list that holds them in `index`.
std::size_t select(const float* value, std::size_t n, std::size_t k, Lists lists,
                   const std::uint32_t*& index) {
  HWY_DYNAMIC_DISPATCH(make_keys)(value, n, lists.key);
  const Threshold threshold = find_threshold(lists.key, n, k, 4 * k + 64);
  // NaN has key 0, which may only pass when fewer than k values are numbers.
  std::size_t count = HWY_DYNAMIC_DISPATCH(collect)(lists.key, n, std::max(threshold.key, 1u), lists.index);
  k = std::min(k, count);
  if (threshold.exact && count > k) {
    count = drop_late_ties(lists.key, threshold.key, lists.index, count, k);
  }
  if (k > 0) index = sort_by_key(lists.key, lists.index, lists.other, count);
  return k;
}

/// Where every value that may be among the k largest stands, ascending; 0: not found out.
std::size_t narrow_down(const float* value, std::size_t n, std::size_t k, std::uint32_t* place) {
  const float guess = guess_threshold(value, n, k);
  if (std::isnan(guess)) return 0;
  const std::size_t count = HWY_DYNAMIC_DISPATCH(collect_values)(value, n, guess, place);
  return count >= k && count <= n / 2 ? count : 0;
}

}  // namespace

std::int64_t top_k(const TopK& args) {
  constexpr std::size_t kSpare = 64;  // vector stores may write past what they count
  thread_local Scratch<std::uint32_t> scratch;
  thread_local Scratch<float> few_values;
  const std::size_t n = static_cast<std::size_t>(args.n);
  const std::size_t k = static_cast<std::size_t>(std::clamp<std::int64_t>(args.k, 0, args.n));
  if (k == 0) return 0;
  const std::size_t room = n + kSpare;
  std::uint32_t* place = scratch.get(4 * room);
  const Lists lists{place + room, place + 2 * room, place + 3 * room};
  const std::uint32_t* index = nullptr;
  std::size_t found;
  const std::size_t few = narrow_down(args.value, n, k, place);
  if (few > 0) {
    float* value = few_values.get(few);
    for (std::size_t i = 0; i < few; ++i) value[i] = args.value[place[i]];
    found = select(value, few, k, lists, index);
  } else {
    found = select(args.value, n, k, lists, index);
  }
  for (std::size_t i = 0; i < found; ++i) {
    const std::uint32_t at = few > 0 ? place[index[i]] : index[i];
    args.index[i] = static_cast<std::int32_t>(at);
    if (args.top_value) args.top_value[i] = args.value[at];
  }
  return static_cast<std::int64_t>(found);
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
