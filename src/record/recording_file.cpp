#include "record/recording_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <limits>

#include "base/file.h"
#include "base/text.h"
#include "record/dataset.h"

namespace tide::record {

namespace {

/// Text that HDF5 can hold: valid UTF-8 without a NUL, which would end it.
std::string storable_text(const std::string& bytes) {
  std::string text = to_valid_utf8(bytes);
  for (auto at = text.find('\0'); at != std::string::npos; at = text.find('\0', at)) {
    text.replace(at, 1, "\xEF\xBF\xBD");
  }
  return text;
}

}  // namespace

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void RecordingFile::append_texts(std::int64_t first, const std::vector<std::string>& bytes) {
  std::vector<std::string> texts;
  texts.reserve(bytes.size());
  for (const std::string& token : bytes) texts.push_back(storable_text(token));
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  const h5::Handle type = h5::text_type();
  append_rows(strings_.get(), first, static_cast<std::int64_t>(texts.size()), type.get(), pointers.data(),
              part_);
}

void RecordingFile::append_tokens(const StepBlock& block) {
  const std::int64_t first = block.first_step, n = block.n_steps;
  append_rows(generated_.get(), first, n, H5T_NATIVE_INT32, block.generated_id.data(), part_);
  append_rows(fed_.get(), first, n, H5T_NATIVE_INT32, block.fed_id.data(), part_);
  append_texts(layout_.prompt_len + first,
               {block.generated_token.begin(), block.generated_token.begin() + n});
  append_rows(kv_len_.get(), first, n, H5T_NATIVE_INT64, block.kv_len.data(), part_);
  append_rows(latency_.get(), first, n, H5T_NATIVE_FLOAT, block.latency_ms.data(), part_);
  append_rows(hash_.get(), first, n, H5T_NATIVE_UINT64, block.logits_hash.data(), part_);
  append_counting(step_axis_.get(), first, n, part_);
}

void RecordingFile::append_map(hid_t dataset, HalfMap& map, const StepBlock& block,
                               std::vector<Chunk>& chunks) {
  const std::int64_t n_chunks = (max_kv_len_ + layout_.kv_chunk - 1) / layout_.kv_chunk;
  map.clear_tail(block.n_steps, n_chunks);
  resize(dataset,
         {static_cast<hsize_t>(block.first_step + block.n_steps), static_cast<hsize_t>(layout_.n_heads),
          static_cast<hsize_t>(max_kv_len_)},
         part_);
  const auto bytes = static_cast<std::size_t>(layout_.chunk_steps * layout_.n_heads * layout_.kv_chunk) * 2;
  for (std::int64_t c = 0; c < n_chunks; ++c) {
    chunks.push_back({dataset,
                      {static_cast<hsize_t>(block.first_step), 0, static_cast<hsize_t>(c * layout_.kv_chunk)},
                      map.chunk(c),
                      bytes,
                      2});
  }
}

void RecordingFile::gather_sets(LayerData& data, const StepBlock& block, const LayerBlock& layer) {
  const std::int64_t n_chunks = (data.set_width + data.set_chunk - 1) / data.set_chunk;
  const auto elements =
      static_cast<std::size_t>(n_chunks * layout_.chunk_steps * data.n_sets * data.set_chunk);
  data.positions.assign(elements, -1);
  data.scores.assign(elements, std::numeric_limits<float>::quiet_NaN());
  for (std::int64_t step = 0; step < block.n_steps; ++step) {
    const StepSets& sets = layer.sets[static_cast<std::size_t>(step)];
    if (sets.n_sets == 0) continue;
    TIDE_ASSERT(sets.n_sets == data.n_sets);
    for (std::int64_t set = 0; set < sets.n_sets; ++set) {
      for (std::int64_t begin = 0; begin < sets.width; begin += data.set_chunk) {
        const std::int64_t count = std::min<std::int64_t>(data.set_chunk, sets.width - begin);
        const std::int64_t from = set * sets.width + begin;
        const std::int64_t to =
            ((begin / data.set_chunk * layout_.chunk_steps + step) * data.n_sets + set) * data.set_chunk;
        std::copy_n(sets.position.begin() + from, count, data.positions.begin() + to);
        std::copy_n(sets.score.begin() + from, count, data.scores.begin() + to);
      }
    }
  }
}

void RecordingFile::append_sets(std::size_t index, const StepBlock& block, std::vector<Chunk>& chunks) {
  LayerData& data = layers_[index];
  const LayerBlock& layer = block.layers[index];
  for (std::int64_t step = 0; step < block.n_steps; ++step) {
    const StepSets& sets = layer.sets[static_cast<std::size_t>(step)];
    if (sets.n_sets > 0 && !data.selected) create_selected(index, sets);
    if (sets.n_sets > 0) data.set_width = std::max(data.set_width, sets.width);
  }
  if (!data.selected) return;
  const std::vector<hsize_t> size = {static_cast<hsize_t>(block.first_step + block.n_steps),
                                     static_cast<hsize_t>(data.n_sets), static_cast<hsize_t>(data.set_width)};
  resize(data.selected.get(), size, part_);
  resize(data.selected_score.get(), size, part_);
  gather_sets(data, block, layer);
  const std::int64_t chunk_elements = layout_.chunk_steps * data.n_sets * data.set_chunk;
  for (std::int64_t begin = 0; begin < data.set_width; begin += data.set_chunk) {
    const std::int64_t at = begin / data.set_chunk * chunk_elements;
    const Chunk chunk{data.selected.get(),
                      {static_cast<hsize_t>(block.first_step), 0, static_cast<hsize_t>(begin)},
                      data.positions.data() + at,
                      static_cast<std::size_t>(chunk_elements) * 4,
                      4};
    chunks.push_back(chunk);
    chunks.push_back(chunk);
    chunks.back().dataset = data.selected_score.get();
    chunks.back().data = data.scores.data() + at;
  }
}

/// Made when the first set of a method with a cache comes by; until then there were none.
void RecordingFile::append_reused(std::size_t index, const StepBlock& block) {
  LayerData& data = layers_[index];
  const std::vector<std::int8_t>& reused = block.layers[index].reused;
  if (!data.reused) {
    const auto end = reused.begin() + block.n_steps;
    if (std::all_of(reused.begin(), end, [](std::int8_t value) { return value < 0; })) return;
    create_reused(index);
  }
  append_rows(data.reused.get(), block.first_step, block.n_steps, H5T_NATIVE_INT8, reused.data(), part_);
}

void RecordingFile::append_top(LayerData& data, StepBlock& block, LayerBlock& layer,
                               std::vector<Chunk>& chunks) {
  const auto row = static_cast<std::ptrdiff_t>(layout_.n_heads) * layout_.top_k;
  std::fill(layer.top_position.begin() + block.n_steps * row, layer.top_position.end(), -1);
  std::fill(layer.top_prob.begin() + block.n_steps * row, layer.top_prob.end(), std::uint16_t{0});
  const std::vector<hsize_t> size = {static_cast<hsize_t>(block.first_step + block.n_steps),
                                     static_cast<hsize_t>(layout_.n_heads),
                                     static_cast<hsize_t>(layout_.top_k)};
  resize(data.top_position.get(), size, part_);
  resize(data.top_prob.get(), size, part_);
  const hsize_t step = static_cast<hsize_t>(block.first_step);
  chunks.push_back(
      {data.top_position.get(), {step, 0, 0}, layer.top_position.data(), layer.top_position.size() * 4, 4});
  chunks.push_back({data.top_prob.get(), {step, 0, 0}, layer.top_prob.data(), layer.top_prob.size() * 2, 2});
}

void RecordingFile::append_layer(std::size_t index, StepBlock& block, std::vector<Chunk>& chunks) {
  LayerData& data = layers_[index];
  LayerBlock& layer = block.layers[index];
  append_rows(data.role.get(), block.first_step, block.n_steps, H5T_NATIVE_UINT8, layer.role.data(), part_);
  append_rows(data.rows_read.get(), block.first_step, block.n_steps, H5T_NATIVE_INT32, layer.rows_read.data(),
              part_);
  append_rows(data.bytes_read.get(), block.first_step, block.n_steps, H5T_NATIVE_INT64,
              layer.bytes_read.data(), part_);
  if (layout_.prob) append_map(data.prob.get(), layer.prob, block, chunks);
  if (layout_.shadow) append_map(data.shadow.get(), layer.shadow, block, chunks);
  if (layout_.top_k > 0) append_top(data, block, layer, chunks);
  append_sets(index, block, chunks);
  append_reused(index, block);
}

void RecordingFile::append(StepBlock& block) {
  TIDE_ASSERT(block.first_step == steps_);
  h5::prepare_thread();
  if (block.n_steps == 0) return;
  const std::int64_t before = max_kv_len_;
  max_kv_len_ =
      std::max(before, *std::max_element(block.kv_len.begin(), block.kv_len.begin() + block.n_steps));
  append_tokens(block);
  if (layout_.tier) append_tier(block);
  if (position_axis_) append_counting(position_axis_.get(), before, max_kv_len_ - before, part_);
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < layers_.size(); ++i) append_layer(i, block, chunks);
  chunks_->write(chunks);
  steps_ += block.n_steps;
  commit(steps_);
}

void RecordingFile::commit(std::int64_t steps) {
  h5::work(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "write", part_);
  h5::write_attribute(file_.get(), "committed_steps", steps, part_);
  h5::work(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "write", part_);
  hsize_t size = 0;
  h5::work(H5Fget_filesize(file_.get(), &size), "write", part_);
  bytes_ = size;
}

void RecordingFile::write_prefill(std::size_t layer_index, std::int64_t first_query, std::int64_t n,
                                  const std::uint16_t* half) {
  h5::prepare_thread();
  const std::int64_t elements = layout_.n_heads * layout_.prompt_len;
  std::vector<Chunk> chunks;
  for (std::int64_t q = 0; q < n; ++q) {
    chunks.push_back({layers_[layer_index].prefill.get(),
                      {0, static_cast<hsize_t>(first_query + q), 0},
                      half + q * elements,
                      static_cast<std::size_t>(elements) * 2,
                      2});
  }
  chunks_->write(chunks);
}

void RecordingFile::freeze() {
  void* handle = nullptr;
  if (H5Fget_vfd_handle(file_.get(), H5P_DEFAULT, &handle) < 0 || handle == nullptr) return;
  const int read_only = ::open(part_.c_str(), O_RDONLY | O_CLOEXEC);
  if (read_only < 0) return;
  ::dup2(read_only, *static_cast<int*>(handle));  // HDF5's own descriptor refuses writes from here on
  ::close(read_only);
}

void RecordingFile::finish() {
  h5::prepare_thread();
  h5::write_attribute(file_.get(), "complete", std::int64_t{1}, part_);
  h5::work(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "write", part_);
  chunks_.reset();
  layers_.clear();
  tier_.clear();
  for (h5::Handle* handle :
       {&step_axis_, &head_axis_, &kv_head_axis_, &position_axis_, &rank_axis_, &prompt_axis_, &query_axis_,
        &generated_, &fed_, &strings_, &kv_len_, &latency_, &hash_}) {
    handle->reset();
  }
  h5::work(H5Idec_ref(file_.release()), "close", part_);
  publish(path_);
}

}  // namespace tide::record
