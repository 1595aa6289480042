#pragma once
// The fast tier's room for blocks of an offloaded cache: which block is where, and which gives way.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "decode/block_reader.h"
#include "decode/tier_counts.h"
#include "kernels/types.h"

namespace tide {

/// Slots for blocks of all layers; the block used longest ago gives way. A use is one layer of one step: what
/// it takes stays until the next use begins. What was fetched for the next use stays, too, unless that one
/// needs its room: a wrong prediction never leaves a layer without what it reads.
class BlockPool {
 public:
  BlockPool(std::shared_ptr<const KvFile> file, int n_keys, std::int64_t n_slots, BlockReader& reader);

  std::int64_t n_slots() const { return static_cast<std::int64_t>(slots_.size()); }
  std::size_t bytes() const { return memory_.size(); }
  /// Rows as gather attention reads them: row `row(slot, i)` of whichever KV head.
  kernels::KvSegment segment() const;
  std::int32_t row(std::int32_t slot, std::int64_t place) const {
    return static_cast<std::int32_t>(slot * 2 * file_->block_rows() + place);
  }

  /// A key is (layer, KV head, block) in the order of the file. Brings the blocks of `keys` (ascending; each
  /// once) that are not there, waits for all, and returns their slots, [keys]; counts them in `counts`.
  /// Throws WorkError: a read failed, or the pool has fewer slots than keys.
  std::span<const std::int32_t> use(std::span<const std::int32_t> keys, TierCounts& counts);
  /// Begins to bring the blocks of `keys` for the next use, as far as there is room beside the current one.
  void fetch(std::span<const std::int32_t> keys, TierCounts& counts);

 private:
  struct Slot {
    std::int32_t key = -1;
    std::int32_t older = -1, newer = -1;  // by last use
    std::int64_t held_for = -1;           // the number of a use; one less: fetched for it
    bool predicted = false;               // brought by fetch() and not used since
  };

  void touch(std::int32_t slot);
  /// The slot used longest ago, emptied; -1 when the running use needs, or fetch() has taken, all of them.
  std::int32_t take_slot();
  /// Reads the blocks of `missing_` into the slots of `missing_slot_`, neighbours together.
  void submit_missing();
  std::byte* place(std::int32_t slot) const {
    return memory_.data() + static_cast<std::size_t>(slot) * file_->block_bytes();
  }

  std::shared_ptr<const KvFile> file_;
  BlockReader& reader_;
  AlignedMemory memory_;
  std::vector<Slot> slots_;
  std::unique_ptr<Pending[]> pending_;  // [n_slots]
  std::vector<std::int32_t> slot_of_;   // by key; -1: not here
  std::int32_t oldest_, newest_;
  std::int64_t use_ = 0;  // of the running use: 2, 4, 6, …
  std::vector<std::int32_t> missing_, missing_slot_, found_;
};

}  // namespace tide
