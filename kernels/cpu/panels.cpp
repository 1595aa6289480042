#include "kernels/panels.h"

#include <cstddef>
#include <cstring>

#include "base/float16.h"

namespace tide::kernels {

namespace {

constexpr std::size_t kWord = 4, kRowOfWords = kPanelOuts * kWord;

/// Calls fn(byte of a row, byte of the panel) for every whole word of every row, row by row, and
/// fn_last for the half word that an odd row of bf16 ends in.
template <typename Fn, typename LastFn>
void for_each_word(const PanelRows& args, const Fn& fn, const LastFn& fn_last) {
  const std::size_t row_bytes = static_cast<std::size_t>(args.n_in) * size_of(args.dtype);
  for (std::int64_t r = 0; r < args.count; ++r) {
    std::byte* row = static_cast<std::byte*>(args.rows) + static_cast<std::size_t>(r) * row_bytes;
    std::byte* column =
        static_cast<std::byte*>(args.panel) + static_cast<std::size_t>(args.first + r) * kWord;
    std::size_t w = 0;
    for (; (w + 1) * kWord <= row_bytes; ++w) fn(row + w * kWord, column + w * kRowOfWords);
    if (w * kWord < row_bytes) fn_last(row + w * kWord, column + w * kRowOfWords);
  }
}

}  // namespace

void pack_rows(const PanelRows& args) {
  for_each_word(
      args, [](const std::byte* row, std::byte* panel) { std::memcpy(panel, row, kWord); },
      [](const std::byte* row, std::byte* panel) {
        std::memcpy(panel, row, kWord / 2);
        std::memset(panel + kWord / 2, 0, kWord / 2);
      });
}

void unpack_rows(const PanelRows& args) {
  for_each_word(
      args, [](std::byte* row, const std::byte* panel) { std::memcpy(row, panel, kWord); },
      [](std::byte* row, const std::byte* panel) { std::memcpy(row, panel, kWord / 2); });
}

void load_panel_row(const void* panel, std::int64_t row, std::int64_t n_in, DType dtype, float* to) {
  if (dtype == DType::f32) {
    const auto* from = static_cast<const float*>(panel) + row;
    for (std::int64_t i = 0; i < n_in; ++i) to[i] = from[i * kPanelOuts];
    return;
  }
  const auto* from = static_cast<const std::uint16_t*>(panel) + 2 * row;
  for (std::int64_t i = 0; i < n_in; ++i) to[i] = bfloat16_to_float(from[i / 2 * 2 * kPanelOuts + i % 2]);
}

}  // namespace tide::kernels
