// The safetensors files of a folder.

#include <algorithm>
#include <set>

#include "base/error.h"
#include "model/json_file.h"
#include "model/printable.h"
#include "model/safetensors.h"

namespace tide {

namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

/// Whether `name` stays in the folder that it is relative to.
bool is_inside(const std::string& name) {
  const fs::path path = fs::path(name).lexically_normal();
  return !name.empty() && name.find('\0') == std::string::npos && path.is_relative() &&
         path.begin()->string() != "..";
}

/// The file of every tensor that the index names, by the tensor's name.
std::map<std::string, std::string> read_index(const fs::path& folder) {
  const JsonFields fields(folder / kIndex);
  const JsonFields weight_map = fields.object("weight_map");
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : weight_map.members().items()) {
    if (!file.is_string()) weight_map.fail(tensor, "the name of a file");
    const auto& name = file.get_ref<const std::string&>();
    if (!is_inside(name)) {
      fail_input("{}: tensor {}: '{}' is no file inside the folder", fields.source(), printable(tensor),
                 printable(name));
    }
    if (!fs::is_regular_file(folder / name)) {
      fail_input("{}: tensor {}: the folder has no file {}", fields.source(), printable(tensor),
                 printable(name));
    }
    files.emplace(tensor, name);
  }
  if (files.empty()) fail_input("{}: weight_map names no tensor", fields.source());
  return files;
}

}  // namespace

std::vector<std::string> safetensors_files(const fs::path& folder) {
  if (fs::exists(folder / kSingle)) return {kSingle};
  if (!fs::exists(folder / kIndex)) {
    fail_input("{}: neither {} nor {} is there; weights in other formats are not supported", folder.string(),
               kSingle, kIndex);
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : read_index(folder)) names.insert(file);
  return {names.begin(), names.end()};
}

SafetensorsFolder::SafetensorsFolder(const fs::path& folder) : folder_(folder) {
  for (const std::string& name : safetensors_files(folder)) {
    files_.emplace_back(folder / name);
    for (const auto& [tensor_name, tensor] : files_.back().tensors()) {
      const auto [known, is_new] = tensors_.emplace(tensor_name, tensor);
      if (!is_new) {
        fail_input("{}: tensor {} is also in {}", files_.back().path().string(), printable(tensor_name),
                   file_of(known->second).path().filename().string());
      }
    }
  }
  if (!fs::exists(folder / kSingle)) check_index();
}

void SafetensorsFolder::check_index() const {
  for (const auto& [name, file] : read_index(folder_)) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || file_of(found->second).path() != folder_ / file) {
      fail_input("{}: tensor {} is not in it, where {} says it is", (folder_ / file).string(),
                 printable(name), kIndex);
    }
  }
}

const SafetensorsFile& SafetensorsFolder::file_of(const StoredTensor& tensor) const {
  const auto holds = [&](const SafetensorsFile& file) {
    const std::byte* begin = file.bytes().data();
    return begin < tensor.bytes.data() && tensor.bytes.data() <= begin + file.bytes().size();
  };
  return *std::find_if(files_.begin(), files_.end(), holds);
}

std::string SafetensorsFolder::place_of(const StoredTensor& tensor) const {
  const SafetensorsFile& file = file_of(tensor);
  return fmt::format("{}: byte {}", file.path().string(), tensor.bytes.data() - file.bytes().data());
}

}  // namespace tide
