// Making an empty recording: groups, datasets, scales, and what viewers follow (NX_class, default).

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/file.h"
#include "base/text.h"
#include "record/dataset.h"
#include "record/recording_file.h"

namespace tide::record {

namespace {

constexpr std::int64_t kFormatVersion = 1;

/// Finds out with the system's own reason whether the file can be made at all.
void try_to_create(const std::string& part) {
  const int fd = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd >= 0) {
    ::close(fd);
  } else if (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EMFILE) {
    fail_work("create {}: {}", part, std::strerror(errno));
  } else {
    fail_input("create {}: {}", part, std::strerror(errno));
  }
}

}  // namespace

RecordingFile::RecordingFile(const std::filesystem::path& path, const Layout& layout, const FileFacts& facts)
    : path_(path), part_(part_path(path).string()), layout_(layout) {
  h5::prepare_thread();
  create_file();
  for (const char* group : {"/axes", "/tokens", "/steps", "/layers"}) make_group(file_.get(), group, part_);
  write_root(facts);
  create_axes();
  create_tokens(facts);
  create_steps(facts);
  layers_.resize(layout_.layers.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) create_layer(i);
  if (!layout_.prefill_rows.empty()) create_prefill();
  chunks_.emplace(layout_.compress, part_);
  commit(0);
}

RecordingFile::~RecordingFile() = default;

void RecordingFile::create_file() {
  try_to_create(part_);
  const h5::Handle access(h5::work(H5Pcreate(H5P_FILE_ACCESS), "create", part_));
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  H5Pset_file_locking(access.get(), true, true);
  file_ = h5::Handle(h5::work(H5Fcreate(part_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), "create", part_));
}

void RecordingFile::write_root(const FileFacts& facts) {
  const hid_t root = file_.get();
  const auto text = [&](const char* name, const std::string& value) { h5::write_attribute(root, name, value, part_); };
  const auto whole = [&](const char* name, std::int64_t value) { h5::write_attribute(root, name, value, part_); };
  text("format", "tidegauge-recording");
  whole("format_version", kFormatVersion);
  text("tool_version", facts.info.tool_version);
  text("model_name", facts.info.model_name);
  text("model_sha256", facts.info.model_sha256);
  whole("n_layers", layout_.n_layers);
  whole("n_heads", layout_.n_heads);
  whole("n_kv_heads", layout_.n_kv_heads);
  whole("head_dim", layout_.head_dim);
  text("policy", facts.info.policy);
  text("placement", facts.info.placement);
  text("config_toml", facts.info.config_toml);
  h5::write_attribute(root, "seed", facts.info.seed, part_);
  text("created", facts.info.created);
  whole("complete", 0);
  whole("committed_steps", 0);
  text("NX_class", "NXroot");
  text("default", layout_.prob || layout_.top_k > 0 ? "layers" : "steps");
}

hsize_t RecordingFile::row_chunk() const {
  return static_cast<hsize_t>(std::min(layout_.max_steps, kRowChunk));
}

void RecordingFile::create_axes() {
  const auto axis = [&](const char* name, std::int64_t count, const char* units, const char* description) {
    const bool grows = count < 0;
    DatasetSpec spec{std::string("/axes/") + name, H5T_STD_I64LE, {0}, {grows ? row_chunk() : kRowChunk},
                     {{nullptr, -1, true}}, units, description};
    h5::Handle scale = make_dataset(file_.get(), spec, part_);
    make_scale(scale.get(), name, part_);
    append_counting(scale.get(), 0, count, part_);
    return scale;
  };
  step_axis_ = axis("step", -1, "step", "decoding step, 0 for the first produced token");
  head_axis_ = axis("head", layout_.n_heads, "head", "query head");
  kv_head_axis_ = axis("kv_head", layout_.n_kv_heads, "head", "KV head");
  if (layout_.prob || layout_.shadow) {
    position_axis_ = axis("position", -1, "token", "position in the sequence, prompt included");
  }
  if (layout_.top_k > 0) rank_axis_ = axis("rank", layout_.top_k, "rank", "0 for the largest weight");
}

void RecordingFile::create_tokens(const FileFacts& facts) {
  const hsize_t prompt = static_cast<hsize_t>(layout_.prompt_len);
  const h5::Handle text = h5::text_type();
  const h5::Handle ids = make_dataset(
      file_.get(), {"/tokens/prompt_ids", H5T_STD_I32LE, {prompt}, {}, {{"position"}}, "token id",
                    "ids of the prompt; -1: not known"}, part_);
  h5::work(H5Dwrite(ids.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, facts.prompt_ids.data()), "write",
           part_);
  const Axis steps{"step", step_axis_.get(), true};
  generated_ = make_dataset(file_.get(), {"/tokens/generated_ids", H5T_STD_I32LE, {0}, {row_chunk()}, {steps},
                                          "token id", "what step t produced; -1: nothing was chosen"}, part_);
  fed_ = make_dataset(file_.get(), {"/tokens/fed_ids", H5T_STD_I32LE, {0}, {row_chunk()}, {steps}, "token id",
                                    "what step t was fed"}, part_);
  strings_ = make_dataset(file_.get(), {"/tokens/strings", text.get(), {0}, {kRowChunk}, {{"token", -1, true}},
                                        "text", "text of the prompt's tokens, then of the produced ones; bytes "
                                        "that are not UTF-8 by themselves are U+FFFD"}, part_);
  append_texts(0, facts.prompt_strings);
}

void RecordingFile::create_steps(const FileFacts& facts) {
  const Axis steps{"step", step_axis_.get(), true};
  kv_len_ = make_dataset(file_.get(), {"/steps/kv_len", H5T_STD_I64LE, {0}, {row_chunk()}, {steps}, "token",
                                       "positions in use, the token being decoded included"}, part_);
  latency_ = make_dataset(file_.get(), {"/steps/latency_ms", H5T_IEEE_F32LE, {0}, {row_chunk()}, {steps}, "ms",
                                        "duration of the step, of the whole batch's where there was one"}, part_);
  hash_ = make_dataset(file_.get(), {"/steps/logits_hash", H5T_STD_U64LE, {0}, {row_chunk()}, {steps}, "1",
                                     "hash of the fp32 logits"}, part_);
  h5::write_attribute(hash_.get(), "algorithm", facts.hash_algorithm, part_);
  const h5::Handle group(h5::work(H5Gopen2(file_.get(), "/steps", H5P_DEFAULT), "create", part_));
  h5::work(H5Lcreate_hard(file_.get(), "/axes/step", group.get(), "step", H5P_DEFAULT, H5P_DEFAULT), "create", part_);
  h5::write_attribute(group.get(), "NX_class", std::string("NXdata"), part_);
  h5::write_attribute(group.get(), "signal", std::string("latency_ms"), part_);
  h5::write_attribute(group.get(), "axes", std::vector<std::string>{"step"}, part_);
}

h5::Handle RecordingFile::make_map(const std::string& path, const char* description) {
  const h5::Handle half = h5::half_type();
  const auto heads = static_cast<hsize_t>(layout_.n_heads);
  return make_dataset(file_.get(),
                      {path, half.get(), {0, heads, 0},
                       {static_cast<hsize_t>(layout_.chunk_steps), heads, static_cast<hsize_t>(layout_.kv_chunk)},
                       {{"step", step_axis_.get(), true}, {"head", head_axis_.get()},
                        {"position", position_axis_.get(), true}},
                       "1", description, -1, nullptr, layout_.compress}, part_);
}

void RecordingFile::create_layer(std::size_t index) {
  const std::string path = layer_path(layout_.layers[index], layout_.n_layers);
  const h5::Handle group = make_group(file_.get(), path, part_);
  LayerData& data = layers_[index];
  const Axis steps{"step", step_axis_.get(), true};
  data.role = make_dataset(file_.get(), {path + "/role", H5T_STD_U8LE, {0}, {row_chunk()}, {steps}, "1",
                                         "0 full, 1 select, 2 sparse, 3 estimate, 4 keep"}, part_);
  data.rows_read = make_dataset(file_.get(), {path + "/rows_read", H5T_STD_I32LE,
                                {0, static_cast<hsize_t>(layout_.n_kv_heads)},
                                {row_chunk(), static_cast<hsize_t>(layout_.n_kv_heads)},
                                {steps, {"kv_head", kv_head_axis_.get()}}, "row",
                                "distinct K and V rows read of each KV head"}, part_);
  data.bytes_read = make_dataset(file_.get(), {path + "/bytes_read", H5T_STD_I64LE, {0}, {row_chunk()}, {steps},
                                               "byte", "bytes of K, V and metadata read; -1: not known"}, part_);
  if (layout_.prob) {
    data.prob = make_map(path + "/prob", "attention weights that made the layer's output; 0 where not read");
  }
  if (layout_.shadow) {
    data.shadow = make_map(path + "/shadow_prob", "full attention's weights for the same query");
  }
  if (layout_.top_k > 0) create_top(data, path);
  if (!layout_.prob && layout_.top_k == 0) return;
  const char* last = layout_.prob ? "position" : "rank";
  for (const char* name : {"step", "head", last}) {
    h5::work(H5Lcreate_hard(file_.get(), (std::string("/axes/") + name).c_str(), group.get(), name, H5P_DEFAULT,
                            H5P_DEFAULT), "create", part_);
  }
  h5::write_attribute(group.get(), "NX_class", std::string("NXdata"), part_);
  h5::write_attribute(group.get(), "signal", std::string(layout_.prob ? "prob" : "top_prob"), part_);
  h5::write_attribute(group.get(), "axes", std::vector<std::string>{"step", "head", last}, part_);
  if (index > 0) return;
  const h5::Handle parent(h5::work(H5Gopen2(file_.get(), "/layers", H5P_DEFAULT), "create", part_));
  h5::write_attribute(parent.get(), "NX_class", std::string("NXentry"), part_);
  h5::write_attribute(parent.get(), "default", path.substr(path.rfind('/') + 1), part_);
}

void RecordingFile::create_top(LayerData& data, const std::string& path) {
  static constexpr std::int32_t kNone = -1;
  const h5::Handle half = h5::half_type();
  const std::vector<hsize_t> size = {0, static_cast<hsize_t>(layout_.n_heads), static_cast<hsize_t>(layout_.top_k)};
  const std::vector<hsize_t> chunk = {static_cast<hsize_t>(layout_.chunk_steps), size[1], size[2]};
  const std::vector<Axis> axes = {{"step", step_axis_.get(), true}, {"head", head_axis_.get()},
                                  {"rank", rank_axis_.get()}};
  data.top_position = make_dataset(file_.get(), {path + "/top_position", H5T_STD_I32LE, size, chunk, axes, "token",
                                   "positions of the largest weights, falling; -1 pads", H5T_NATIVE_INT32, &kNone,
                                   layout_.compress}, part_);
  data.top_prob = make_dataset(file_.get(), {path + "/top_prob", half.get(), size, chunk, axes, "1",
                               "their weights", -1, nullptr, layout_.compress}, part_);
}

void RecordingFile::create_selected(std::size_t index, const StepSets& first) {
  static constexpr std::int32_t kNone = -1;
  static constexpr float kNoScore = std::numeric_limits<float>::quiet_NaN();
  constexpr int kSlots = 16;
  LayerData& data = layers_[index];
  const std::string path = layer_path(layout_.layers[index], layout_.n_layers);
  data.n_sets = first.n_sets;
  data.set_chunk = (std::max(first.width, 1) + kSlots - 1) / kSlots * kSlots;
  const auto sets = static_cast<hsize_t>(first.n_sets);
  const std::vector<hsize_t> size = {0, sets, 0};
  const std::vector<hsize_t> chunk = {static_cast<hsize_t>(layout_.chunk_steps), sets,
                                      static_cast<hsize_t>(data.set_chunk)};
  const std::vector<Axis> axes = {{"step", step_axis_.get(), true}, {"set"}, {"slot", -1, true}};
  data.selected = make_dataset(file_.get(), {path + "/selected", H5T_STD_I32LE, size, chunk, axes, "token",
                               "positions chosen by a select layer, read by another: forced ones ascending, then by "
                               "falling score; -1 pads", H5T_NATIVE_INT32, &kNone, layout_.compress}, part_);
  data.selected_score = make_dataset(file_.get(), {path + "/selected_score", H5T_IEEE_F32LE, size, chunk, axes, "1",
                                     "the choosing rule's score; NaN where forced or padded", H5T_NATIVE_FLOAT,
                                     &kNoScore, layout_.compress}, part_);
  const h5::Handle map = make_dataset(file_.get(), {path + "/set_of_head", H5T_STD_I32LE,
                                      {static_cast<hsize_t>(layout_.n_heads)}, {},
                                      {{"head", head_axis_.get()}}, "set", "the set that each query head reads"},
                                      part_);
  h5::work(H5Dwrite(map.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, first.set_of_head.data()), "write",
           part_);
}

void RecordingFile::create_prefill() {
  make_group(file_.get(), "/prefill", part_);
  make_group(file_.get(), "/prefill/layers", part_);
  const auto queries = static_cast<hsize_t>(layout_.prefill_rows.size());
  const auto heads = static_cast<hsize_t>(layout_.n_heads), prompt = static_cast<hsize_t>(layout_.prompt_len);
  query_axis_ = make_dataset(file_.get(), {"/prefill/query_positions", H5T_STD_I64LE, {queries}, {}, {{nullptr}},
                                           "token", "prompt positions whose attention was recorded"}, part_);
  make_scale(query_axis_.get(), "query_position", part_);
  h5::work(H5Dwrite(query_axis_.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, layout_.prefill_rows.data()),
           "write", part_);
  prompt_axis_ = make_dataset(file_.get(), {"/axes/prompt_position", H5T_STD_I64LE, {0}, {kRowChunk},
                                            {{nullptr, -1, true}}, "token", "position in the prompt"}, part_);
  make_scale(prompt_axis_.get(), "prompt_position", part_);
  append_counting(prompt_axis_.get(), 0, layout_.prompt_len, part_);
  const h5::Handle half = h5::half_type();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string path = "/prefill" + layer_path(layout_.layers[i], layout_.n_layers);
    make_group(file_.get(), path, part_);
    layers_[i].prefill = make_dataset(
        file_.get(), {path + "/prob", half.get(), {heads, queries, prompt}, {heads, 1, prompt},
                      {{"head", head_axis_.get()}, {"query_position", query_axis_.get()},
                       {"prompt_position", prompt_axis_.get()}},
                      "1", "attention weights of the prefill; 0 beyond the query's own position", -1, nullptr,
                      layout_.compress}, part_);
  }
}

}  // namespace tide::record
