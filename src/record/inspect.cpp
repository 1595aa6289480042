#include "record/inspect.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "record/h5.h"
#include "record/reader.h"
#include "record/soundness.h"

namespace tide {

namespace {

constexpr std::array<char, 8> kHdf5Signature = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};

std::string type_name(hid_t type) {
  const std::size_t bits = H5Tget_size(type) * 8;
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return fmt::format("{}int{}", H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", bits);
    case H5T_FLOAT:
      return fmt::format("float{}", bits);
    case H5T_STRING:
      return "text";
    default:
      return "other";
  }
}

std::string text_or_nothing(hid_t object, const char* name, const std::string& file) {
  return H5Aexists(object, name) > 0 ? h5::read_text_attribute(object, name, file) : "";
}

herr_t collect_dataset(hid_t root, const char* name, const H5O_info_t* info, void* paths) {
  (void)root;
  if (info->type == H5O_TYPE_DATASET)
    static_cast<std::vector<std::string>*>(paths)->push_back(std::string("/") + name);
  return 0;
}

DatasetFacts dataset_facts(hid_t file, const std::string& path, const std::string& name) {
  const h5::Handle dataset(h5::input(H5Dopen2(file, path.c_str(), H5P_DEFAULT), name, path));
  const h5::Handle type(h5::input(H5Dget_type(dataset.get()), name, path));
  DatasetFacts facts;
  facts.path = path;
  facts.type = type_name(type.get());
  for (const hsize_t extent : h5::extents(dataset.get()))
    facts.shape.push_back(static_cast<std::int64_t>(extent));
  facts.units = text_or_nothing(dataset.get(), "units", name);
  facts.description = text_or_nothing(dataset.get(), "description", name);
  facts.stored_bytes = H5Dget_storage_size(dataset.get());
  return facts;
}

std::vector<std::pair<std::string, std::string>> attributes_of(const RecordingInfo& info) {
  const auto number = [](auto value) { return std::to_string(value); };
  return {{"tool_version", info.tool_version},
          {"created", info.created},
          {"model_name", info.model_name},
          {"model_sha256", info.model_sha256},
          {"n_layers", number(info.n_layers)},
          {"n_heads", number(info.n_heads)},
          {"n_kv_heads", number(info.n_kv_heads)},
          {"head_dim", number(info.head_dim)},
          {"policy", info.policy},
          {"placement", info.placement},
          {"seed", number(info.seed)},
          {"config_toml", info.config_toml},
          {"complete", number(info.complete ? 1 : 0)},
          {"committed_steps", number(info.committed_steps)}};
}

}  // namespace

bool Inspection::sound() const {
  return std::all_of(checks.begin(), checks.end(), [](const auto& check) { return check.problem.empty(); });
}

std::string Inspection::verdict() const {
  for (const SoundnessCheck& check : checks) {
    if (!check.problem.empty()) return check.what + ": " + check.problem;
  }
  return "";
}

bool looks_like_hdf5(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) fail_input("open {}: no such file", path.string());
  if (!std::filesystem::is_regular_file(path)) fail_input("open {}: not a regular file", path.string());
  std::ifstream file(path, std::ios::binary);
  std::array<char, kHdf5Signature.size()> begin{};
  file.read(begin.data(), begin.size());
  return file && begin == kHdf5Signature;
}

Inspection inspect_recording(const std::filesystem::path& path) {
  const RecordingReader reader(path);
  const std::string name = path.string();
  Inspection inspection;
  inspection.attributes = attributes_of(reader.info());
  inspection.file_bytes = std::filesystem::file_size(path);
  inspection.steps = reader.info().committed_steps;
  inspection.complete = reader.info().complete;
  const h5::Handle file = h5::open_for_reading(name);
  std::vector<std::string> paths;
  h5::input(H5Ovisit2(file.get(), H5_INDEX_NAME, H5_ITER_INC, collect_dataset, &paths, H5O_INFO_BASIC), name,
            "/");
  for (const std::string& dataset : paths)
    inspection.datasets.push_back(dataset_facts(file.get(), dataset, name));
  inspection.checks = record::check_recording(reader);
  if (!inspection.sound()) return inspection;
  for (const int layer : reader.layers()) {
    if (const auto reused = reader.reused(layer))
      inspection.reuse_rate.emplace_back(layer, reuse_rate(*reused));
  }
  return inspection;
}

}  // namespace tide
