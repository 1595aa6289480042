#pragma once
// How a weight matrix lies in memory for the products of kernels/linear.h.

#include <cstdint>

#include "kernels/types.h"

namespace tide::kernels {

/// Outputs that stand side by side in a panel.
inline constexpr std::int64_t kPanelOuts = 16;

/// Words of 32 bits that a row's n_in weights fill: one fp32 value or two bf16 ones each, an odd last one
/// beside a zero.
constexpr std::int64_t panel_words(std::int64_t n_in, DType dtype) {
  return dtype == DType::f32 ? n_in : (n_in + 1) / 2;
}
/// Bytes of a matrix [n_out, n_in] in whole panels of [panel_words, kPanelOuts] words: word w of output o is
/// word o % 16 of row w of panel o / 16. A product then reads memory from its beginning to its end, meets
/// every input once for 16 outputs, and needs no sums over lanes. Outputs behind n_out are zeros.
constexpr std::int64_t panels_bytes(std::int64_t n_in, std::int64_t n_out, DType dtype) {
  return (n_out + kPanelOuts - 1) / kPanelOuts * kPanelOuts * panel_words(n_in, dtype) * 4;
}

/// Some rows of a matrix, and the panel that holds them.
struct PanelRows {
  void* rows;          ///< [count, n_in] of dtype, row-major
  void* panel;         ///< [panel_words(n_in, dtype), kPanelOuts] words
  std::int64_t first;  ///< the row of the panel that the first of them is
  std::int64_t count;  ///< first + count <= kPanelOuts
  std::int64_t n_in;
  DType dtype;  ///< f32 or bf16
};

/// rows -> panel; the panel's other rows stay as they are.
void pack_rows(const PanelRows& args);
/// panel -> rows.
void unpack_rows(const PanelRows& args);

/// Row `row` of a panel as fp32: [n_in].
void load_panel_row(const void* panel, std::int64_t row, std::int64_t n_in, DType dtype, float* to);

}  // namespace tide::kernels
