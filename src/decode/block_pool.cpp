#include "decode/block_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"

namespace tide {

BlockPool::BlockPool(std::shared_ptr<const KvFile> file, int n_keys, std::int64_t n_slots,
                     BlockReader& reader)
    : file_(std::move(file)),
      reader_(reader),
      memory_(static_cast<std::size_t>(n_slots) * file_->block_bytes()),
      slots_(static_cast<std::size_t>(n_slots)),
      pending_(new Pending[static_cast<std::size_t>(n_slots)]),
      slot_of_(static_cast<std::size_t>(n_keys), -1),
      oldest_(0),
      newest_(static_cast<std::int32_t>(n_slots) - 1) {
  for (std::int32_t slot = 0; slot < n_slots; ++slot) {
    slots_[static_cast<std::size_t>(slot)].older = slot - 1;
    slots_[static_cast<std::size_t>(slot)].newer = slot + 1 < n_slots ? slot + 1 : -1;
    pending_[static_cast<std::size_t>(slot)] = 0;
  }
}

kernels::KvSegment BlockPool::segment() const {
  const std::size_t keys = static_cast<std::size_t>(file_->block_rows()) * file_->row_bytes();
  return {.k = memory_.data(),
          .v = memory_.data() + keys,
          .head_stride = 0,
          .begin = 0,
          .count = n_slots() * 2 * file_->block_rows()};
}

std::span<const std::int32_t> BlockPool::use(std::span<const std::int32_t> keys, TierCounts& counts) {
  use_ += 2;
  found_.resize(keys.size());
  missing_.clear();
  missing_slot_.clear();
  // Those that are here first: making room for the others must not put them out.
  for (std::size_t i = 0; i < keys.size(); ++i) {
    found_[i] = slot_of_[static_cast<std::size_t>(keys[i])];
    if (found_[i] < 0) continue;
    Slot& slot = slots_[static_cast<std::size_t>(found_[i])];
    ++(slot.predicted ? counts.predicted : counts.held);
    slot.predicted = false;
    slot.held_for = use_;
    touch(found_[i]);
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found_[i] >= 0) continue;
    found_[i] = take_slot();
    if (found_[i] < 0) {
      fail_work("offload: the fast tier has room for {} blocks, one layer's choice takes {}", n_slots(),
                keys.size());
    }
    missing_.push_back(keys[i]);
    missing_slot_.push_back(found_[i]);
    slots_[static_cast<std::size_t>(found_[i])].held_for = use_;
  }
  submit_missing();
  counts.wanted += static_cast<std::int64_t>(keys.size());
  counts.missed += static_cast<std::int64_t>(missing_.size());
  const auto begin = std::chrono::steady_clock::now();
  for (const std::int32_t slot : found_) reader_.wait(pending_[static_cast<std::size_t>(slot)]);
  counts.stall_ms +=
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return found_;
}

void BlockPool::fetch(std::span<const std::int32_t> keys, TierCounts& counts) {
  missing_.clear();
  missing_slot_.clear();
  for (const std::int32_t key : keys) {
    const std::int32_t here = slot_of_[static_cast<std::size_t>(key)];
    if (here >= 0) slots_[static_cast<std::size_t>(here)].held_for = use_ + 1, touch(here);
  }
  for (const std::int32_t key : keys) {
    if (slot_of_[static_cast<std::size_t>(key)] >= 0) continue;
    const std::int32_t slot = take_slot();
    if (slot < 0) break;
    missing_.push_back(key);
    missing_slot_.push_back(slot);
    slots_[static_cast<std::size_t>(slot)].held_for = use_ + 1;
    slots_[static_cast<std::size_t>(slot)].predicted = true;
  }
  counts.fetched += static_cast<std::int64_t>(missing_.size());
  submit_missing();
}

void BlockPool::touch(std::int32_t slot) {
  if (slot == newest_) return;
  Slot& moved = slots_[static_cast<std::size_t>(slot)];
  if (moved.older >= 0) slots_[static_cast<std::size_t>(moved.older)].newer = moved.newer;
  if (slot == oldest_) oldest_ = moved.newer;
  slots_[static_cast<std::size_t>(moved.newer)].older = moved.older;
  moved.older = newest_;
  moved.newer = -1;
  slots_[static_cast<std::size_t>(newest_)].newer = slot;
  newest_ = slot;
}

std::int32_t BlockPool::take_slot() {
  const std::int32_t taken = oldest_;
  Slot& slot = slots_[static_cast<std::size_t>(taken)];
  if (slot.held_for >= use_) return -1;
  // What was fetched and never asked for may still be on its way into this slot.
  reader_.wait(pending_[static_cast<std::size_t>(taken)]);
  if (slot.key >= 0) slot_of_[static_cast<std::size_t>(slot.key)] = -1;
  slot.key = -1;
  slot.predicted = false;
  touch(taken);
  return taken;
}

void BlockPool::submit_missing() {
  for (std::size_t first = 0; first < missing_.size();) {
    BlockReader::Read read{};
    read.offset = std::int64_t{missing_[first]} * static_cast<std::int64_t>(file_->block_bytes());
    std::size_t end = first;
    while (end < missing_.size() && read.n_blocks < BlockReader::kMostBlocks &&
           missing_[end] == missing_[first] + read.n_blocks) {
      const auto slot = static_cast<std::size_t>(missing_slot_[end]);
      slots_[slot].key = missing_[end];
      slot_of_[static_cast<std::size_t>(missing_[end])] = missing_slot_[end];
      read.block[static_cast<std::size_t>(read.n_blocks)] = place(missing_slot_[end]);
      read.pending[static_cast<std::size_t>(read.n_blocks)] = &pending_[slot];
      pending_[slot] = 1;
      ++read.n_blocks;
      ++end;
    }
    reader_.submit(read);
    first = end;
  }
}

}  // namespace tide
