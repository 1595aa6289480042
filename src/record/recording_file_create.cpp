// Making an empty recording: the file, its attributes, axes, tokens and steps.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

void write_evidence(hid_t root, const std::vector<std::int32_t>& evidence, const std::string& part) {
  const h5::Handle dataset = make_dataset(root,
                                          {"/tokens/evidence",
                                           H5T_STD_I32LE,
                                           {static_cast<hsize_t>(evidence.size())},
                                           {},
                                           {{"evidence"}},
                                           "token",
                                           "positions of the prompt's tokens that carry the task's answer"},
                                          part);
  h5::work(H5Dwrite(dataset.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, evidence.data()), "write",
           part);
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
  if (layout_.tier) create_tier();
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
  file_ = h5::Handle(
      h5::work(H5Fcreate(part_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), "create", part_));
}

void RecordingFile::write_root(const FileFacts& facts) {
  const hid_t root = file_.get();
  const auto text = [&](const char* name, const std::string& value) {
    h5::write_attribute(root, name, value, part_);
  };
  const auto whole = [&](const char* name, std::int64_t value) {
    h5::write_attribute(root, name, value, part_);
  };
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
    DatasetSpec spec{
        std::string("/axes/") + name, H5T_STD_I64LE, {0},        {grows ? row_chunk() : kRowChunk},
        {{nullptr, -1, true}},        units,         description};
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
  const h5::Handle ids = make_dataset(file_.get(),
                                      {"/tokens/prompt_ids",
                                       H5T_STD_I32LE,
                                       {prompt},
                                       {},
                                       {{"position"}},
                                       "token id",
                                       "ids of the prompt; -1: not known"},
                                      part_);
  h5::work(H5Dwrite(ids.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, facts.prompt_ids.data()),
           "write", part_);
  const Axis steps{"step", step_axis_.get(), true};
  generated_ = make_dataset(file_.get(),
                            {"/tokens/generated_ids",
                             H5T_STD_I32LE,
                             {0},
                             {row_chunk()},
                             {steps},
                             "token id",
                             "what step t produced; -1: nothing was chosen"},
                            part_);
  fed_ = make_dataset(
      file_.get(),
      {"/tokens/fed_ids", H5T_STD_I32LE, {0}, {row_chunk()}, {steps}, "token id", "what step t was fed"},
      part_);
  strings_ = make_dataset(file_.get(),
                          {"/tokens/strings",
                           text.get(),
                           {0},
                           {kRowChunk},
                           {{"token", -1, true}},
                           "text",
                           "text of the prompt's tokens, then of the produced ones; bytes "
                           "that are not UTF-8 by themselves are U+FFFD"},
                          part_);
  append_texts(0, facts.prompt_strings);
  if (!facts.evidence.empty()) write_evidence(file_.get(), facts.evidence, part_);
}

void RecordingFile::create_steps(const FileFacts& facts) {
  const Axis steps{"step", step_axis_.get(), true};
  kv_len_ = make_dataset(file_.get(),
                         {"/steps/kv_len",
                          H5T_STD_I64LE,
                          {0},
                          {row_chunk()},
                          {steps},
                          "token",
                          "positions in use, the token being decoded included"},
                         part_);
  latency_ = make_dataset(file_.get(),
                          {"/steps/latency_ms",
                           H5T_IEEE_F32LE,
                           {0},
                           {row_chunk()},
                           {steps},
                           "ms",
                           "duration of the step, of the whole batch's where there was one"},
                          part_);
  hash_ = make_dataset(
      file_.get(),
      {"/steps/logits_hash", H5T_STD_U64LE, {0}, {row_chunk()}, {steps}, "1", "hash of the fp32 logits"},
      part_);
  h5::write_attribute(hash_.get(), "algorithm", facts.hash_algorithm, part_);
  const h5::Handle group(h5::work(H5Gopen2(file_.get(), "/steps", H5P_DEFAULT), "create", part_));
  h5::work(H5Lcreate_hard(file_.get(), "/axes/step", group.get(), "step", H5P_DEFAULT, H5P_DEFAULT), "create",
           part_);
  h5::write_attribute(group.get(), "NX_class", std::string("NXdata"), part_);
  h5::write_attribute(group.get(), "signal", std::string("latency_ms"), part_);
  h5::write_attribute(group.get(), "axes", std::vector<std::string>{"step"}, part_);
}

}  // namespace tide::record
