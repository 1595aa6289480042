#pragma once
// Inside the record room only: a dataset to be exported, read in slabs so that its size does not matter.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "record/read_dataset.h"

namespace tide::record {

/// How the elements of a dataset lie in memory.
struct ExportElement {
  Element element;
  const char* descr;  ///< NumPy's; empty: text
  std::size_t size;
};

class ExportSource {
 public:
  /// Throws InputError when `path` is missing, no dataset, or neither number nor text.
  ExportSource(hid_t file, const std::string& name, const std::string& path);

  const ExportElement& element() const { return element_; }
  bool is_text() const { return element_.element == Element::text; }
  const std::string& path() const { return dataset_.path; }
  /// One an axis.
  const std::vector<std::string>& labels() const { return labels_; }
  std::vector<std::int64_t> shape() const { return {dataset_.size.begin(), dataset_.size.end()}; }
  std::uint64_t elements() const;
  /// A text attribute; empty when there is none.
  std::string attribute(const char* name) const;

  /// Calls take(first element's index, bytes) for slab after slab of whole rows of dimension 0.
  void slabs(const std::function<void(std::uint64_t, const std::vector<std::uint8_t>&)>& take) const;
  /// Every text of a text dataset.
  std::vector<std::string> texts() const;
  /// One number as text that reads back to the same value.
  std::string number(const std::uint8_t* data) const;

 private:
  std::string name_;
  ExportElement element_{};
  OpenDataset dataset_;
  std::vector<std::string> labels_;
};

}  // namespace tide::record
