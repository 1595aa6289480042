#include "record/reader.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <mutex>

#include "record/h5.h"
#include "record/half.h"
#include "record/layout.h"
#include "record/read_dataset.h"

namespace tide {

using record::Element;
using record::OpenDataset;

namespace {

constexpr int kMaxLayers = 10000;
constexpr int kMaxHeads = 1 << 16;
constexpr std::int64_t kMaxTokens = std::int64_t{1} << 31;

int bounded(hid_t root, const char* name, std::int64_t low, std::int64_t high, const std::string& file) {
  const std::int64_t value = h5::read_int_attribute(root, name, file);
  if (value < low || value > high) {
    fail_input("read {}: attribute '{}' is {}, expected {} to {}", file, name, value, low, high);
  }
  return static_cast<int>(value);
}

/// "NN" under /layers -> index; -1: not a layer's name.
int layer_index(const std::string& name, int n_layers) {
  int layer = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  const bool named = error == std::errc() && layer >= 0 && layer < n_layers;
  return named && record::layer_path(layer, n_layers) == "/layers/" + name ? layer : -1;
}

herr_t collect_name(hid_t group, const char* name, const H5L_info_t* info, void* names) {
  (void)group;
  (void)info;
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

}  // namespace

struct RecordingReader::Impl {
  std::filesystem::path path;
  std::string name;  ///< for messages
  h5::Handle file;
  RecordingInfo info;
  std::vector<int> layers;
  std::vector<std::int64_t> kv_len;  ///< [committed_steps]
  std::mutex mutex;                  ///< of `maps`
  std::map<std::string, OpenDataset> maps;

  std::string layer_path(int layer) const {
    if (!std::binary_search(layers.begin(), layers.end(), layer)) {
      fail_input("read {}: layer {} was not recorded", name, layer);
    }
    return record::layer_path(layer, info.n_layers);
  }

  bool has(int layer, const char* dataset) const {
    return std::binary_search(layers.begin(), layers.end(), layer) &&
           h5::has_path(file.get(), record::layer_path(layer, info.n_layers) + "/" + dataset);
  }

  void check_step(std::int64_t step) const {
    if (step < 0 || step >= info.committed_steps) {
      fail_input("read {}: step {} is not there, expected 0 to {}", name, step, info.committed_steps - 1);
    }
  }

  /// The first `rows` rows of a dataset whose inner extents are given.
  template <typename T>
  std::vector<T> rows(const std::string& dataset, Element element, std::int64_t rows,
                      std::vector<std::int64_t> inner = {}) const {
    std::vector<std::int64_t> size = {-1};
    size.insert(size.end(), inner.begin(), inner.end());
    const OpenDataset open = record::open_dataset(file.get(), name, dataset, element, size);
    std::vector<hsize_t> begin(size.size(), 0), count = open.size;
    count[0] = static_cast<hsize_t>(rows);
    const std::uint64_t elements = record::checked_elements(open, name, count);
    std::vector<T> values(elements);
    record::read_box(open, name, begin, count, element, values.data());
    return values;
  }

  /// A dataset that is read step by step, opened once.
  const OpenDataset& map(const std::string& dataset, Element element, const std::vector<std::int64_t>& size) {
    const std::lock_guard lock(mutex);
    const auto found = maps.find(dataset);
    if (found != maps.end()) return found->second;
    return maps.emplace(dataset, record::open_dataset(file.get(), name, dataset, element, size, true))
        .first->second;
  }

  void read_info();
  void read_layers();
  void read_max_kv_len();
};

void RecordingReader::Impl::read_info() {
  const hid_t root = file.get();
  if (H5Aexists(root, "format") <= 0 ||
      h5::read_text_attribute(root, "format", name) != "tidegauge-recording") {
    fail_input(
        "read {}: an HDF5 file, but not a recording: expected the attribute format = 'tidegauge-recording'",
        name);
  }
  const std::int64_t version = h5::read_int_attribute(root, "format_version", name);
  if (version != 1) fail_input("read {}: format_version is {}, expected 1", name, version);
  info.tool_version = h5::read_text_attribute(root, "tool_version", name);
  info.model_name = h5::read_text_attribute(root, "model_name", name);
  info.model_sha256 = h5::read_text_attribute(root, "model_sha256", name);
  info.policy = h5::read_text_attribute(root, "policy", name);
  info.placement = h5::read_text_attribute(root, "placement", name);
  info.config_toml = h5::read_text_attribute(root, "config_toml", name);
  info.created = h5::read_text_attribute(root, "created", name);
  info.n_layers = bounded(root, "n_layers", 1, kMaxLayers, name);
  info.n_heads = bounded(root, "n_heads", 1, kMaxHeads, name);
  info.n_kv_heads = bounded(root, "n_kv_heads", 1, info.n_heads, name);
  info.head_dim = bounded(root, "head_dim", 0, kMaxHeads, name);
  info.seed = h5::read_uint_attribute(root, "seed", name);
  info.complete = bounded(root, "complete", 0, 1, name) == 1;
  info.committed_steps = h5::read_int_attribute(root, "committed_steps", name);
  if (info.committed_steps < 0 || info.committed_steps > kMaxTokens) {
    fail_input("read {}: attribute 'committed_steps' is {}", name, info.committed_steps);
  }
  const OpenDataset prompt = record::open_dataset(root, name, "/tokens/prompt_ids", Element::i32, {-1});
  info.prompt_len = static_cast<std::int64_t>(prompt.size[0]);
  if (info.prompt_len < 1 || info.prompt_len > kMaxTokens) {
    fail_input("read {}: /tokens/prompt_ids holds {} tokens", name, info.prompt_len);
  }
  kv_len = rows<std::int64_t>("/steps/kv_len", Element::i64, info.committed_steps);
  for (const std::int64_t length : kv_len) {
    if (length < 1 || length > kMaxTokens)
      fail_input("read {}: /steps/kv_len: {} is no length", name, length);
  }
}

void RecordingReader::Impl::read_layers() {
  if (!h5::has_path(file.get(), "/layers")) fail_input("read {}: /layers is missing", name);
  const h5::Handle group(h5::input(H5Gopen2(file.get(), "/layers", H5P_DEFAULT), name, "/layers"));
  std::vector<std::string> names;
  h5::input(H5Literate(group.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_name, &names), name,
            "/layers");
  for (const std::string& child : names) {
    const int layer = layer_index(child, info.n_layers);
    if (layer < 0)
      fail_input("read {}: /layers/{}: expected the number of one of {} layers", name, child, info.n_layers);
    layers.push_back(layer);
  }
  std::sort(layers.begin(), layers.end());
}

void RecordingReader::Impl::read_max_kv_len() {
  for (const int layer : layers) {
    for (const char* dataset : {"/prob", "/shadow_prob"}) {
      const std::string map = record::layer_path(layer, info.n_layers) + dataset;
      if (!h5::has_path(file.get(), map)) continue;
      const OpenDataset open =
          record::open_dataset(file.get(), name, map, Element::f16, {-1, info.n_heads, -1});
      info.max_kv_len = std::max(info.max_kv_len, static_cast<std::int64_t>(open.size[2]));
    }
  }
  // A file that was cut off may have grown past its committed steps.
  const std::int64_t longest = kv_len.empty() ? 0 : *std::max_element(kv_len.begin(), kv_len.end());
  if (info.max_kv_len > 0 && info.max_kv_len < longest) {
    fail_input("read {}: maps hold {} positions, expected {} (/steps/kv_len)", name, info.max_kv_len,
               longest);
  }
  if (!info.complete) info.max_kv_len = std::min(info.max_kv_len, longest);
}

RecordingReader::RecordingReader(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->name = path.string();
  impl_->file = h5::open_for_reading(impl_->name);
  impl_->read_info();
  impl_->read_layers();
  impl_->read_max_kv_len();
}

RecordingReader::~RecordingReader() = default;
RecordingReader::RecordingReader(RecordingReader&&) noexcept = default;
RecordingReader& RecordingReader::operator=(RecordingReader&&) noexcept = default;

const std::filesystem::path& RecordingReader::path() const { return impl_->path; }
const RecordingInfo& RecordingReader::info() const { return impl_->info; }
const std::vector<int>& RecordingReader::layers() const { return impl_->layers; }

std::vector<std::int32_t> RecordingReader::prompt_ids() const {
  return impl_->rows<std::int32_t>("/tokens/prompt_ids", Element::i32, impl_->info.prompt_len);
}

std::vector<std::int32_t> RecordingReader::evidence() const {
  const char* const path = "/tokens/evidence";
  if (!h5::has_path(impl_->file.get(), path)) return {};
  const OpenDataset open = record::open_dataset(impl_->file.get(), impl_->name, path, Element::i32, {-1});
  auto positions = impl_->rows<std::int32_t>(path, Element::i32, static_cast<std::int64_t>(open.size[0]));
  std::int32_t last = -1;
  for (const std::int32_t position : positions) {
    if (position <= last || position >= impl_->info.prompt_len) {
      fail_input("read {}: {}: {} behind {}; expected rising positions of a prompt of {} tokens", impl_->name,
                 path, position, last, impl_->info.prompt_len);
    }
    last = position;
  }
  return positions;
}

std::vector<std::int32_t> RecordingReader::generated_ids() const {
  return impl_->rows<std::int32_t>("/tokens/generated_ids", Element::i32, impl_->info.committed_steps);
}

std::vector<std::int32_t> RecordingReader::fed_ids() const {
  return impl_->rows<std::int32_t>("/tokens/fed_ids", Element::i32, impl_->info.committed_steps);
}

std::vector<std::string> RecordingReader::token_strings() const {
  const auto count = static_cast<hsize_t>(impl_->info.prompt_len + impl_->info.committed_steps);
  const OpenDataset open =
      record::open_dataset(impl_->file.get(), impl_->name, "/tokens/strings", Element::text, {-1});
  record::checked_elements(open, impl_->name, {count});
  return record::read_texts(open, impl_->name, 0, count);
}

std::vector<std::int64_t> RecordingReader::kv_len() const { return impl_->kv_len; }

std::vector<float> RecordingReader::latency_ms() const {
  return impl_->rows<float>("/steps/latency_ms", Element::f32, impl_->info.committed_steps);
}

std::vector<std::uint64_t> RecordingReader::logits_hash() const {
  return impl_->rows<std::uint64_t>("/steps/logits_hash", Element::u64, impl_->info.committed_steps);
}

bool RecordingReader::has_tier() const {
  const auto has = [&](const char* path) { return h5::has_path(impl_->file.get(), path); };
  return has(record::kTierStall) ||
         std::any_of(record::kTierDatasets.begin(), record::kTierDatasets.end(),
                     [&](const record::TierDataset& dataset) { return has(dataset.path); });
}

std::optional<TierSteps> RecordingReader::tier() const {
  if (!has_tier()) return std::nullopt;
  TierSteps tier;
  const std::int64_t steps = impl_->info.committed_steps;
  for (const record::TierDataset& dataset : record::kTierDatasets) {
    tier.*dataset.values = impl_->rows<std::int64_t>(dataset.path, Element::i64, steps);
  }
  tier.stall_ms = impl_->rows<float>(record::kTierStall, Element::f32, steps);
  return tier;
}

std::vector<std::uint8_t> RecordingReader::role(int layer) const {
  return impl_->rows<std::uint8_t>(impl_->layer_path(layer) + "/role", Element::u8,
                                   impl_->info.committed_steps);
}

bool RecordingReader::has_prob(int layer) const { return impl_->has(layer, "prob"); }
bool RecordingReader::has_shadow_prob(int layer) const { return impl_->has(layer, "shadow_prob"); }
bool RecordingReader::has_top(int layer) const { return impl_->has(layer, "top_position"); }

void RecordingReader::read_prob(int layer, std::int64_t step, bool shadow, std::vector<float>& out) const {
  impl_->check_step(step);
  const auto heads = static_cast<hsize_t>(impl_->info.n_heads);
  const auto length = static_cast<hsize_t>(impl_->kv_len[static_cast<std::size_t>(step)]);
  const OpenDataset& open = impl_->map(impl_->layer_path(layer) + (shadow ? "/shadow_prob" : "/prob"),
                                       Element::f16, {-1, impl_->info.n_heads, -1});
  std::vector<std::uint16_t> half(record::checked_elements(open, impl_->name, {1, heads, length}));
  record::read_box(open, impl_->name, {static_cast<hsize_t>(step), 0, 0}, {1, heads, length}, Element::f16,
                   half.data());
  out.resize(half.size());
  record::from_half(half.data(), static_cast<std::int64_t>(half.size()), out.data());
}

void RecordingReader::read_top(int layer, std::int64_t step, std::vector<std::int32_t>& position,
                               std::vector<float>& prob) const {
  impl_->check_step(step);
  const std::string path = impl_->layer_path(layer);
  const std::vector<std::int64_t> size = {-1, impl_->info.n_heads, -1};
  const OpenDataset& positions = impl_->map(path + "/top_position", Element::i32, size);
  const OpenDataset& weights = impl_->map(path + "/top_prob", Element::f16,
                                          {-1, size[1], static_cast<std::int64_t>(positions.size[2])});
  const std::vector<hsize_t> begin = {static_cast<hsize_t>(step), 0, 0},
                             count = {1, positions.size[1], positions.size[2]};
  position.resize(record::checked_elements(positions, impl_->name, count));
  std::vector<std::uint16_t> half(position.size());
  record::read_box(positions, impl_->name, begin, count, Element::i32, position.data());
  record::read_box(weights, impl_->name, begin, count, Element::f16, half.data());
  prob.resize(half.size());
  record::from_half(half.data(), static_cast<std::int64_t>(half.size()), prob.data());
}

std::optional<SelectedPositions> RecordingReader::selected(int layer) const {
  if (!impl_->has(layer, "selected")) return std::nullopt;
  const std::string path = impl_->layer_path(layer);
  const OpenDataset open =
      record::open_dataset(impl_->file.get(), impl_->name, path + "/selected", Element::i32, {-1, -1, -1});
  SelectedPositions sets;
  sets.steps = impl_->info.committed_steps;
  sets.n_sets = static_cast<std::int64_t>(open.size[1]);
  sets.width = static_cast<std::int64_t>(open.size[2]);
  sets.position =
      impl_->rows<std::int32_t>(path + "/selected", Element::i32, sets.steps, {sets.n_sets, sets.width});
  sets.score =
      impl_->rows<float>(path + "/selected_score", Element::f32, sets.steps, {sets.n_sets, sets.width});
  sets.set_of_head = impl_->rows<std::int32_t>(path + "/set_of_head", Element::i32, impl_->info.n_heads);
  for (const std::int32_t set : sets.set_of_head) {
    if (set < 0 || set >= sets.n_sets) {
      fail_input("read {}: {}/set_of_head: set {} of {} sets", impl_->name, path, set, sets.n_sets);
    }
  }
  return sets;
}

std::vector<std::int32_t> RecordingReader::rows_read(int layer) const {
  return impl_->rows<std::int32_t>(impl_->layer_path(layer) + "/rows_read", Element::i32,
                                   impl_->info.committed_steps, {impl_->info.n_kv_heads});
}

std::vector<std::int64_t> RecordingReader::bytes_read(int layer) const {
  return impl_->rows<std::int64_t>(impl_->layer_path(layer) + "/bytes_read", Element::i64,
                                   impl_->info.committed_steps);
}

std::optional<std::vector<std::int8_t>> RecordingReader::reused(int layer) const {
  if (!impl_->has(layer, "reused")) return std::nullopt;
  return impl_->rows<std::int8_t>(impl_->layer_path(layer) + "/reused", Element::i8,
                                  impl_->info.committed_steps);
}

double reuse_rate(const std::vector<std::int8_t>& reused) {
  const auto hits = std::count(reused.begin(), reused.end(), std::int8_t{1});
  const auto all = hits + std::count(reused.begin(), reused.end(), std::int8_t{0});
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(hits) / static_cast<double>(all);
}

std::vector<std::int64_t> RecordingReader::prefill_query_positions() const {
  if (!h5::has_path(impl_->file.get(), "/prefill/query_positions")) return {};
  const OpenDataset open =
      record::open_dataset(impl_->file.get(), impl_->name, "/prefill/query_positions", Element::i64, {-1});
  return impl_->rows<std::int64_t>("/prefill/query_positions", Element::i64,
                                   static_cast<std::int64_t>(open.size[0]));
}

void RecordingReader::read_prefill_prob(int layer, std::vector<float>& out) const {
  const auto queries = static_cast<std::int64_t>(prefill_query_positions().size());
  const auto half = impl_->rows<std::uint16_t>("/prefill" + impl_->layer_path(layer) + "/prob", Element::f16,
                                               impl_->info.n_heads, {queries, impl_->info.prompt_len});
  out.resize(half.size());
  record::from_half(half.data(), static_cast<std::int64_t>(half.size()), out.data());
}

}  // namespace tide
