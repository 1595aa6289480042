#include "record/recover.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "record/half.h"
#include "record/read_dataset.h"
#include "record/reader.h"
#include "record/recording_file.h"
#include "record/step_filler.h"

namespace tide {

namespace {

using record::HalfMap;
using record::LayerBlock;
using record::Layout;
using record::RecordingFile;
using record::StepBlock;

/// Copies one recording, step by step, in the blocks of the new file.
class Copy {
 public:
  Copy(const std::filesystem::path& part, const std::filesystem::path& out)
      : reader_(part), layout_(layout_of(part)), file_(out, layout_, facts_of(part)) {
    for (const int layer : layout_.layers) {
      sets_.push_back(reader_.selected(layer));
      reused_.push_back(reader_.reused(layer));
    }
  }

  void run() {
    if (!layout_.prefill_rows.empty()) copy_prefill();
    StepBlock block(layout_);
    for (std::int64_t first = 0; first < layout_.max_steps; first += layout_.chunk_steps) {
      block.restart(first);
      block.n_steps = std::min(layout_.chunk_steps, layout_.max_steps - first);
      copy_steps(block);
      for (std::size_t i = 0; i < layout_.layers.size(); ++i) copy_layer(i, block);
      file_.append(block);
    }
    file_.finish();
  }

 private:
  Layout layout_of(const std::filesystem::path& part) const {
    const RecordingInfo& info = reader_.info();
    if (info.committed_steps == 0)
      fail_input("recover {}: no step was committed, nothing to copy", part.string());
    Layout layout;
    layout.n_layers = info.n_layers;
    layout.n_heads = info.n_heads;
    layout.n_kv_heads = info.n_kv_heads;
    layout.head_dim = info.head_dim;
    layout.layers = reader_.layers();
    layout.prompt_len = info.prompt_len;
    layout.max_steps = info.committed_steps;
    layout.prefill_rows = reader_.prefill_query_positions();
    layout.tier = reader_.has_tier();
    for (const std::int64_t length : reader_.kv_len()) {
      if (length > layout.kv_capacity()) {
        fail_input("recover {}: /steps/kv_len: {} positions, expected at most {}", part.string(), length,
                   layout.kv_capacity());
      }
    }
    if (layout.layers.empty()) return chunked(layout);
    const int layer = layout.layers.front();
    layout.prob = reader_.has_prob(layer);
    layout.shadow = reader_.has_shadow_prob(layer);
    const h5::Handle file = h5::open_for_reading(part.string());
    for (const char* dataset : {"/prob", "/shadow_prob", "/top_prob", "/selected"}) {
      for (const int any : layout.layers) {
        const std::string where = record::layer_path(any, layout.n_layers) + dataset;
        if (h5::has_path(file.get(), where) && record::is_compressed(file.get(), where))
          layout.compress = true;
      }
    }
    if (reader_.has_top(layer)) {
      std::vector<std::int32_t> position;
      std::vector<float> prob;
      reader_.read_top(layer, 0, position, prob);
      layout.top_k = static_cast<int>(position.size()) / layout.n_heads;
    }
    return chunked(layout);
  }

  static Layout chunked(Layout layout) {
    record::choose_chunks(layout, 0);
    return layout;
  }

  record::FileFacts facts_of(const std::filesystem::path& part) {
    record::FileFacts facts;
    facts.info = reader_.info();
    facts.prompt_ids = reader_.prompt_ids();
    facts.evidence = reader_.evidence();
    texts_ = reader_.token_strings();
    facts.prompt_strings.assign(texts_.begin(), texts_.begin() + layout_.prompt_len);
    const h5::Handle file = h5::open_for_reading(part.string());
    const h5::Handle hash(
        h5::input(H5Dopen2(file.get(), "/steps/logits_hash", H5P_DEFAULT), part.string(), "/steps"));
    facts.hash_algorithm = h5::read_text_attribute(hash.get(), "algorithm", part.string());
    return facts;
  }

  template <typename T>
  static void slice(const std::vector<T>& from, const StepBlock& block, std::int64_t row,
                    std::vector<T>& to) {
    std::copy_n(from.begin() + block.first_step * row, block.n_steps * row, to.begin());
  }

  void copy_steps(StepBlock& block) const {
    slice(reader_.kv_len(), block, 1, block.kv_len);
    slice(reader_.latency_ms(), block, 1, block.latency_ms);
    slice(reader_.logits_hash(), block, 1, block.logits_hash);
    slice(reader_.fed_ids(), block, 1, block.fed_id);
    slice(reader_.generated_ids(), block, 1, block.generated_id);
    std::copy_n(texts_.begin() + layout_.prompt_len + block.first_step, block.n_steps,
                block.generated_token.begin());
    if (layout_.tier) copy_tier(block);
  }

  void copy_tier(StepBlock& block) const {
    const TierSteps tier = *reader_.tier();
    for (const record::TierDataset& dataset : record::kTierDatasets) {
      slice(tier.*dataset.values, block, 1, block.tier.*dataset.values);
    }
    slice(tier.stall_ms, block, 1, block.tier.stall_ms);
  }

  void copy_map(int layer, bool shadow, std::int64_t slot, const StepBlock& block, HalfMap& map) const {
    std::vector<float> prob;
    const std::int64_t length = block.kv_len[static_cast<std::size_t>(slot)];
    reader_.read_prob(layer, block.first_step + slot, shadow, prob);
    record::fill_map(layout_, prob.data(), length, length, slot, map);
  }

  void copy_layer(std::size_t index, StepBlock& block) const {
    const int layer = layout_.layers[index];
    LayerBlock& to = block.layers[index];
    slice(reader_.role(layer), block, 1, to.role);
    slice(reader_.rows_read(layer), block, layout_.n_kv_heads, to.rows_read);
    slice(reader_.bytes_read(layer), block, 1, to.bytes_read);
    if (reused_[index]) slice(*reused_[index], block, 1, to.reused);
    for (std::int64_t slot = 0; slot < block.n_steps; ++slot) {
      if (layout_.prob) copy_map(layer, false, slot, block, to.prob);
      if (layout_.shadow) copy_map(layer, true, slot, block, to.shadow);
      if (layout_.top_k > 0) copy_top(layer, slot, block, to);
      if (sets_[index])
        copy_sets(*sets_[index], block.first_step + slot, to.sets[static_cast<std::size_t>(slot)]);
    }
  }

  void copy_top(int layer, std::int64_t slot, const StepBlock& block, LayerBlock& to) const {
    std::vector<std::int32_t> position;
    std::vector<float> prob;
    reader_.read_top(layer, block.first_step + slot, position, prob);
    const auto row = static_cast<std::ptrdiff_t>(layout_.n_heads) * layout_.top_k;
    if (std::ssize(position) != row)
      fail_input("recover {}: layers differ in top_position", reader_.path().string());
    std::copy(position.begin(), position.end(), to.top_position.begin() + slot * row);
    record::to_half(prob.data(), row, to.top_prob.data() + slot * row);
  }

  static void copy_sets(const SelectedPositions& from, std::int64_t step, record::StepSets& to) {
    const std::int64_t row = from.n_sets * from.width;
    to.n_sets = static_cast<int>(from.n_sets);
    to.width = static_cast<int>(from.width);
    to.position.assign(from.position.begin() + step * row, from.position.begin() + (step + 1) * row);
    to.score.assign(from.score.begin() + step * row, from.score.begin() + (step + 1) * row);
    to.set_of_head = from.set_of_head;
  }

  void copy_prefill() {
    const auto queries = std::ssize(layout_.prefill_rows);
    const std::int64_t length = layout_.prompt_len;
    std::vector<float> prob;
    std::vector<std::uint16_t> half(static_cast<std::size_t>(queries * layout_.n_heads * length));
    for (std::size_t i = 0; i < layout_.layers.size(); ++i) {
      reader_.read_prefill_prob(layout_.layers[i], prob);
      for (std::int64_t head = 0; head < layout_.n_heads; ++head) {
        for (std::int64_t q = 0; q < queries; ++q) {
          record::to_half(prob.data() + (head * queries + q) * length, length,
                          half.data() + (q * layout_.n_heads + head) * length);
        }
      }
      file_.write_prefill(i, 0, queries, half.data());
    }
  }

  RecordingReader reader_;
  Layout layout_;
  std::vector<std::string> texts_;
  RecordingFile file_;
  std::vector<std::optional<SelectedPositions>> sets_;
  std::vector<std::optional<std::vector<std::int8_t>>> reused_;
};

}  // namespace

std::int64_t recover_recording(const std::filesystem::path& part, const std::filesystem::path& out) {
  Copy(part, out).run();
  return RecordingReader(out).info().committed_steps;
}

}  // namespace tide
