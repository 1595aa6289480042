// Exact top-k by radix selection: order-preserving integer keys and a histogram of their high bits
// give a threshold; what passes it is collected in order of index and sorted by a stable radix sort,
// so that the smaller index comes first in ties without being part of the key.

#include "kernels/top_k.h"

#include <algorithm>
#include <array>
#include <cstring>
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

}  // namespace
}  // namespace tide::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tide::kernels::cpu {
namespace {

HWY_EXPORT(make_keys);
HWY_EXPORT(collect);

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

/// Sorts indices by falling key; equal keys keep their order. Least significant byte first.
std::uint32_t* sort_by_key(const std::uint32_t* key, std::uint32_t* index, std::uint32_t* other,
                           std::size_t n) {
  std::array<std::array<std::uint32_t, 256>, 4> histogram{};
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t k = ~key[index[i]];
    for (int byte = 0; byte < 4; ++byte) ++histogram[static_cast<std::size_t>(byte)][(k >> (8 * byte)) & 255];
  }
  for (int byte = 0; byte < 4; ++byte) {
    auto& start = histogram[static_cast<std::size_t>(byte)];
    if (start[(~key[index[0]] >> (8 * byte)) & 255] == n) continue;  // one digit: nothing to do
    std::uint32_t sum = 0;
    for (std::uint32_t& count : start) sum += std::exchange(count, sum);
    for (std::size_t i = 0; i < n; ++i) other[start[(~key[index[i]] >> (8 * byte)) & 255]++] = index[i];
    std::swap(index, other);
  }
  return index;
}

}  // namespace

std::int64_t top_k(const TopK& args) {
  constexpr std::size_t kSpare = 64;  // vector stores may write past what they count
  thread_local Scratch<std::uint32_t> scratch;
  const std::size_t n = static_cast<std::size_t>(args.n);
  std::uint32_t* key = scratch.get(3 * (n + kSpare));
  std::uint32_t* index = key + n + kSpare;
  std::uint32_t* other = index + n + kSpare;
  HWY_DYNAMIC_DISPATCH(make_keys)(args.value, n, key);

  std::size_t k = static_cast<std::size_t>(std::clamp<std::int64_t>(args.k, 0, args.n));
  if (k == 0) return 0;
  const Threshold threshold = find_threshold(key, n, k, 4 * k + 64);
  // NaN has key 0, which may only pass when fewer than k values are numbers.
  std::size_t count = HWY_DYNAMIC_DISPATCH(collect)(key, n, std::max(threshold.key, 1u), index);
  k = std::min(k, count);
  if (threshold.exact && count > k) count = drop_late_ties(key, threshold.key, index, count, k);
  if (k == 0) return 0;
  index = sort_by_key(key, index, other, count);
  for (std::size_t i = 0; i < k; ++i) {
    args.index[i] = static_cast<std::int32_t>(index[i]);
    if (args.top_value) args.top_value[i] = args.value[index[i]];
  }
  return static_cast<std::int64_t>(k);
}

}  // namespace tide::kernels::cpu
#endif  // HWY_ONCE
