#pragma once
// Safetensors: one file, or a folder of one or several as Hugging Face lays them out. Nothing in them is
// trusted.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "model/tensor_source.h"

namespace tide {

/// A mapped and fully validated file: 8 bytes of header length, a JSON header that gives every tensor's
/// dtype (F32, F16 or BF16), shape and place, and the tensors, which fill the rest without a gap. Throws
/// InputError naming the file and the tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  std::span<const std::byte> bytes() const { return file_.bytes(); }
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }

 private:
  MappedFile file_;
  std::map<std::string, StoredTensor> tensors_;
};

/// Names of the files that hold a folder's weights, ascending: model.safetensors where there is one, as in
/// transformers, else what model.safetensors.index.json names. Throws InputError: neither is there, the index
/// is unsound, a file that it names is outside the folder or absent.
std::vector<std::string> safetensors_files(const std::filesystem::path& folder);

/// All tensors of a folder. Throws InputError: what safetensors_files and SafetensorsFile refuse, a tensor in
/// two files, a tensor that is not in the file that the index names.
class SafetensorsFolder final : public TensorSource {
 public:
  explicit SafetensorsFolder(const std::filesystem::path& folder);

  const std::filesystem::path& path() const override { return folder_; }
  const std::map<std::string, StoredTensor>& tensors() const override { return tensors_; }

 private:
  std::string place_of(const StoredTensor& tensor) const override;
  /// The file that holds a tensor.
  const SafetensorsFile& file_of(const StoredTensor& tensor) const;
  void check_index() const;

  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace tide
