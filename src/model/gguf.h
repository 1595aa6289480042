#pragma once
// GGUF v2 and v3 files: metadata and tensor directory. Nothing in the file is trusted.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/file.h"
#include "model/tensor_source.h"

namespace tide {

/// A metadata value; integers of every width are widened, arrays hold one kind.
using GgufValue =
    std::variant<std::uint64_t, std::int64_t, double, bool, std::string, std::vector<std::uint64_t>,
                 std::vector<std::int64_t>, std::vector<double>, std::vector<bool>, std::vector<std::string>>;

/// An opened, fully validated GGUF checkpoint, mapped read-only: one file, or the first of several into which
/// it is split, with the others (model/gguf_split.h). Throws InputError with the byte offset of what is
/// wrong.
class GgufFile final : public TensorSource {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const override { return file_.path(); }
  /// Of the first file, where all of it stands.
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  /// Of all files.
  const std::map<std::string, StoredTensor>& tensors() const override { return tensors_; }
  /// Every file, this one first.
  std::vector<std::filesystem::path> files() const;

  bool has(const std::string& key) const { return metadata_.contains(key); }
  /// The value of a required key. Throws InputError when it is missing or of another kind.
  std::int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;
  bool boolean(const std::string& key) const;
  const std::string& text(const std::string& key) const;
  const std::vector<std::string>& texts(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key) const;
  const std::vector<double>& numbers(const std::string& key) const;

 private:
  struct Alone {};
  /// A file by itself, whatever it is a part of.
  GgufFile(const std::filesystem::path& path, Alone);
  void add_shards();

  std::string place_of(const StoredTensor& tensor) const override;
  const GgufValue& value(const std::string& key) const;
  [[noreturn]] void fail_kind(const std::string& key, const char* expected) const;

  MappedFile file_;
  std::map<std::string, GgufValue> metadata_;
  std::map<std::string, std::uint64_t> offsets_;  ///< where each metadata value begins
  std::map<std::string, StoredTensor> tensors_;
  std::vector<GgufFile> further_;  ///< the other files of a split checkpoint, in their order
};

}  // namespace tide
