// Making the datasets of layers and of the prefill, and what viewers follow (NX_class, signal, axes).

#include <algorithm>
#include <limits>

#include "record/dataset.h"
#include "record/recording_file.h"

namespace tide::record {

h5::Handle RecordingFile::make_map(const std::string& path, const char* description) {
  const h5::Handle half = h5::half_type();
  const auto heads = static_cast<hsize_t>(layout_.n_heads);
  return make_dataset(
      file_.get(),
      {path,
       half.get(),
       {0, heads, 0},
       {static_cast<hsize_t>(layout_.chunk_steps), heads, static_cast<hsize_t>(layout_.kv_chunk)},
       {{"step", step_axis_.get(), true},
        {"head", head_axis_.get()},
        {"position", position_axis_.get(), true}},
       "1",
       description,
       -1,
       nullptr,
       layout_.compress},
      part_);
}

void RecordingFile::create_layer(std::size_t index) {
  const std::string path = layer_path(layout_.layers[index], layout_.n_layers);
  const h5::Handle group = make_group(file_.get(), path, part_);
  LayerData& data = layers_[index];
  const Axis steps{"step", step_axis_.get(), true};
  data.role = make_dataset(file_.get(),
                           {path + "/role",
                            H5T_STD_U8LE,
                            {0},
                            {row_chunk()},
                            {steps},
                            "1",
                            "0 full, 1 select, 2 sparse, 3 estimate, 4 keep"},
                           part_);
  data.rows_read = make_dataset(file_.get(),
                                {path + "/rows_read",
                                 H5T_STD_I32LE,
                                 {0, static_cast<hsize_t>(layout_.n_kv_heads)},
                                 {row_chunk(), static_cast<hsize_t>(layout_.n_kv_heads)},
                                 {steps, {"kv_head", kv_head_axis_.get()}},
                                 "row",
                                 "distinct K and V rows read of each KV head"},
                                part_);
  data.bytes_read = make_dataset(file_.get(),
                                 {path + "/bytes_read",
                                  H5T_STD_I64LE,
                                  {0},
                                  {row_chunk()},
                                  {steps},
                                  "byte",
                                  "bytes of K, V and metadata read; -1: not known"},
                                 part_);
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
    h5::work(H5Lcreate_hard(file_.get(), (std::string("/axes/") + name).c_str(), group.get(), name,
                            H5P_DEFAULT, H5P_DEFAULT),
             "create", part_);
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
  const std::vector<hsize_t> size = {0, static_cast<hsize_t>(layout_.n_heads),
                                     static_cast<hsize_t>(layout_.top_k)};
  const std::vector<hsize_t> chunk = {static_cast<hsize_t>(layout_.chunk_steps), size[1], size[2]};
  const std::vector<Axis> axes = {
      {"step", step_axis_.get(), true}, {"head", head_axis_.get()}, {"rank", rank_axis_.get()}};
  data.top_position = make_dataset(
      file_.get(),
      {path + "/top_position", H5T_STD_I32LE, size, chunk, axes, "token",
       "positions of the largest weights, falling; -1 pads", H5T_NATIVE_INT32, &kNone, layout_.compress},
      part_);
  data.top_prob = make_dataset(file_.get(),
                               {path + "/top_prob", half.get(), size, chunk, axes, "1", "their weights", -1,
                                nullptr, layout_.compress},
                               part_);
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
  data.selected =
      make_dataset(file_.get(),
                   {path + "/selected", H5T_STD_I32LE, size, chunk, axes, "token",
                    "positions chosen by a select layer, read by another: forced ones ascending, then by "
                    "falling score; -1 pads",
                    H5T_NATIVE_INT32, &kNone, layout_.compress},
                   part_);
  data.selected_score = make_dataset(file_.get(),
                                     {path + "/selected_score", H5T_IEEE_F32LE, size, chunk, axes, "1",
                                      "the choosing rule's score; NaN where forced or padded",
                                      H5T_NATIVE_FLOAT, &kNoScore, layout_.compress},
                                     part_);
  const h5::Handle map = make_dataset(file_.get(),
                                      {path + "/set_of_head",
                                       H5T_STD_I32LE,
                                       {static_cast<hsize_t>(layout_.n_heads)},
                                       {},
                                       {{"head", head_axis_.get()}},
                                       "set",
                                       "the set that each query head reads"},
                                      part_);
  h5::work(H5Dwrite(map.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, first.set_of_head.data()),
           "write", part_);
}

void RecordingFile::create_reused(std::size_t index) {
  static constexpr std::int8_t kUntold = -1;
  LayerData& data = layers_[index];
  data.reused = make_dataset(
      file_.get(),
      {layer_path(layout_.layers[index], layout_.n_layers) + "/reused",
       H5T_STD_I8LE,
       {0},
       {row_chunk()},
       {{"step", step_axis_.get(), true}},
       "1",
       "whether the step's sets came out of the method's cache: 1 reused, 0 chosen anew, -1 no such sets",
       H5T_NATIVE_INT8,
       &kUntold},
      part_);
}

void RecordingFile::create_prefill() {
  make_group(file_.get(), "/prefill", part_);
  make_group(file_.get(), "/prefill/layers", part_);
  const auto queries = static_cast<hsize_t>(layout_.prefill_rows.size());
  const auto heads = static_cast<hsize_t>(layout_.n_heads), prompt = static_cast<hsize_t>(layout_.prompt_len);
  query_axis_ = make_dataset(file_.get(),
                             {"/prefill/query_positions",
                              H5T_STD_I64LE,
                              {queries},
                              {},
                              {{nullptr}},
                              "token",
                              "prompt positions whose attention was recorded"},
                             part_);
  make_scale(query_axis_.get(), "query_position", part_);
  h5::work(H5Dwrite(query_axis_.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                    layout_.prefill_rows.data()),
           "write", part_);
  prompt_axis_ = make_dataset(file_.get(),
                              {"/axes/prompt_position",
                               H5T_STD_I64LE,
                               {0},
                               {kRowChunk},
                               {{nullptr, -1, true}},
                               "token",
                               "position in the prompt"},
                              part_);
  make_scale(prompt_axis_.get(), "prompt_position", part_);
  append_counting(prompt_axis_.get(), 0, layout_.prompt_len, part_);
  const h5::Handle half = h5::half_type();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string path = "/prefill" + layer_path(layout_.layers[i], layout_.n_layers);
    make_group(file_.get(), path, part_);
    layers_[i].prefill = make_dataset(file_.get(),
                                      {path + "/prob",
                                       half.get(),
                                       {heads, queries, prompt},
                                       {heads, 1, prompt},
                                       {{"head", head_axis_.get()},
                                        {"query_position", query_axis_.get()},
                                        {"prompt_position", prompt_axis_.get()}},
                                       "1",
                                       "attention weights of the prefill; 0 beyond the query's own position",
                                       -1,
                                       nullptr,
                                       layout_.compress},
                                      part_);
  }
}

}  // namespace tide::record
