#pragma once
// Inside the record room only: one layer's event into its place of a block. Runs on the decoder's
// thread, so it does no more than round to float16 and copy.

#include "decode/observer.h"
#include "record/layout.h"

namespace tide::record {

/// Writes what `event` shows into step `slot` of `block`, a layer's.
void fill_layer(const Layout& layout, const LayerEvent& event, std::int64_t slot, LayerBlock& block);

/// Weights by position, [n_heads, stride], into step `slot` of a map; 0 from kv_len on.
void fill_map(const Layout& layout, const float* prob, std::int64_t stride, std::int64_t kv_len,
              std::int64_t slot, HalfMap& map);

}  // namespace tide::record
