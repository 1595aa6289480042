#include "record/export.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>

#include <hdf5_hl.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/float16.h"
#include "base/text.h"
#include "record/h5.h"
#include "record/npy.h"
#include "record/read_dataset.h"

namespace tide {

using record::Element;
using record::OpenDataset;

namespace {

constexpr std::uint64_t kSlabBytes = std::uint64_t{16} << 20;

struct Source {
  Element element;
  const char* descr;  ///< NumPy's; empty: text
  std::size_t size;
};

/// The element type of a dataset. Throws InputError when it is none that a recording has.
Source source_of(hid_t type, const std::string& where) {
  const std::size_t size = H5Tget_size(type);
  const bool is_unsigned = H5Tget_sign(type) == H5T_SGN_NONE;
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      if (size == 1 && is_unsigned) return {Element::u8, "|u1", 1};
      if (size == 4 && !is_unsigned) return {Element::i32, "<i4", 4};
      if (size == 8) return is_unsigned ? Source{Element::u64, "<u8", 8} : Source{Element::i64, "<i8", 8};
      break;
    case H5T_FLOAT:
      if (size == 2) return {Element::f16, "<f2", 2};
      if (size == 4) return {Element::f32, "<f4", 4};
      break;
    case H5T_STRING:
      if (H5Tis_variable_str(type) > 0) return {Element::text, "", sizeof(char*)};
      break;
    default: break;
  }
  fail_input("export {}: elements of {} bytes, expected numbers or texts of a recording", where, size);
}

/// A dataset read in slabs of whole rows of dimension 0.
class Reader {
 public:
  Reader(hid_t file, const std::string& name, const std::string& path) : name_(name) {
    if (path.empty() || path[0] != '/') fail_input("export {}: '{}': expected a path such as /steps/kv_len", name, path);
    if (!h5::has_path(file, path)) fail_input("export {}: {} is missing", name, path);
    const h5::Handle object(h5::input(H5Oopen(file, path.c_str(), H5P_DEFAULT), name, path));
    if (H5Iget_type(object.get()) != H5I_DATASET) fail_input("export {}: {} is a group, expected a dataset", name, path);
    const h5::Handle type(h5::input(H5Dget_type(object.get()), name, path));
    source_ = source_of(type.get(), name + ": " + path);
    const std::vector<std::int64_t> any(h5::extents(object.get()).size(), -1);
    if (any.empty()) fail_input("export {}: {} has no extents", name, path);
    dataset_ = record::open_dataset(file, name, path, source_.element, any, true);
    for (unsigned i = 0; i < any.size(); ++i) labels_.push_back(label(i));
  }

  const Source& source() const { return source_; }
  const std::string& path() const { return dataset_.path; }
  const std::vector<std::string>& labels() const { return labels_; }
  hid_t id() const { return dataset_.id.get(); }
  std::vector<std::int64_t> shape() const { return {dataset_.size.begin(), dataset_.size.end()}; }
  std::uint64_t elements() const { return record::checked_elements(dataset_, name_, dataset_.size); }

  /// Elements of one row of dimension 0.
  std::uint64_t row_elements() const {
    return record::checked_elements(dataset_, name_, {dataset_.size.begin() + 1, dataset_.size.end()});
  }

  /// Calls take(first element's index, bytes) for slab after slab.
  void slabs(const std::function<void(std::uint64_t, const std::vector<std::uint8_t>&)>& take) const {
    const std::uint64_t row = row_elements();
    const std::uint64_t rows = std::max<std::uint64_t>(1, kSlabBytes / std::max<std::uint64_t>(1, row * source_.size));
    std::vector<std::uint8_t> bytes;
    for (hsize_t first = 0; first < dataset_.size[0] && row > 0; first += rows) {
      std::vector<hsize_t> begin(dataset_.size.size(), 0), count = dataset_.size;
      begin[0] = first;
      count[0] = std::min<hsize_t>(rows, dataset_.size[0] - first);
      bytes.resize(count[0] * row * source_.size);
      record::read_box(dataset_, name_, begin, count, source_.element, bytes.data());
      take(first * row, bytes);
    }
  }

  /// Every text of a text dataset.
  std::vector<std::string> texts() const {
    if (dataset_.size.size() != 1) fail_input("export {}: {}: texts of {} dimensions, expected 1", name_, path(), dataset_.size.size());
    return record::read_texts(dataset_, name_, 0, elements());
  }

  /// One number as text that reads back to the same value.
  std::string number(const std::uint8_t* data) const {
    const auto as = [&]<typename T>(T value) {
      std::memcpy(&value, data, sizeof value);
      return value;
    };
    switch (source_.element) {
      case Element::u8: return fmt::format("{}", *data);
      case Element::i32: return fmt::format("{}", as(std::int32_t{}));
      case Element::i64: return fmt::format("{}", as(std::int64_t{}));
      case Element::u64: return fmt::format("{}", as(std::uint64_t{}));
      case Element::f16: return fmt::format("{}", half_to_float(as(std::uint16_t{})));
      default: return fmt::format("{}", as(float{}));
    }
  }

 private:
  std::string label(unsigned dimension) const {
    char text[256] = "";
    const ssize_t length = H5DSget_label(dataset_.id.get(), dimension, text, sizeof text);
    return length > 0 ? std::string(text) : fmt::format("index_{}", dimension);
  }

  std::string name_;
  Source source_{};
  OpenDataset dataset_;
  std::vector<std::string> labels_;
};

/// A file under its `.part` name until `publish`.
class Output {
 public:
  explicit Output(const std::filesystem::path& path) : path_(path), name_(part_path(path).string()) {
    file_ = std::fopen(name_.c_str(), "wb");
    if (file_ == nullptr) fail_input("create {}: {}", name_, std::strerror(errno));
  }
  ~Output() {
    if (file_ == nullptr) return;
    std::fclose(file_);
    std::remove(name_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  std::FILE* file() const { return file_; }
  const std::string& name() const { return name_; }

  void write(const void* data, std::size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_) != bytes) fail_work("write {}: {}", name_, std::strerror(errno));
  }
  void write(const std::string& text) { write(text.data(), text.size()); }

  void publish_file() {
    if (std::fclose(std::exchange(file_, nullptr)) != 0) {
      const int reason = errno;
      std::remove(name_.c_str());
      fail_work("write {}: {}", name_, std::strerror(reason));
    }
    publish(path_);
  }

 private:
  std::filesystem::path path_;
  std::string name_;
  std::FILE* file_;
};

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

/// "3,0,17," of the element with this index.
std::string csv_place(std::uint64_t index, const std::vector<std::int64_t>& shape) {
  std::string place;
  for (auto extent = shape.rbegin(); extent != shape.rend(); ++extent) {
    place = fmt::format("{},", index % static_cast<std::uint64_t>(*extent)) + place;
    index /= static_cast<std::uint64_t>(*extent);
  }
  return place;
}

void write_csv(const Reader& reader, Output& out) {
  std::string header;
  for (const std::string& label : reader.labels()) header += csv_text(label) + ",";
  const std::string name = reader.path().substr(reader.path().rfind('/') + 1);
  out.write(header + csv_text(name) + "\n");
  const auto shape = reader.shape();
  if (reader.source().element == Element::text) {
    const auto texts = reader.texts();
    for (std::size_t i = 0; i < texts.size(); ++i) out.write(csv_place(i, shape) + csv_text(texts[i]) + "\n");
    return;
  }
  reader.slabs([&](std::uint64_t first, const std::vector<std::uint8_t>& bytes) {
    std::string lines;
    for (std::size_t i = 0; i < bytes.size() / reader.source().size; ++i) {
      lines += csv_place(first + i, shape) + reader.number(bytes.data() + i * reader.source().size) + "\n";
    }
    out.write(lines);
  });
}

/// Brackets that open before, or close after, an element of a nested list.
std::string brackets(std::uint64_t index, const std::vector<std::int64_t>& shape, bool opening) {
  std::string text;
  std::uint64_t inner = 1;
  for (std::size_t i = shape.size(); i-- > 1;) {
    inner *= static_cast<std::uint64_t>(shape[i]);
    if ((opening ? index : index + 1) % inner != 0) break;
    text += opening ? '[' : ']';
  }
  return text;
}

std::string json_number(const std::string& number) {
  return number.find_first_of("ni") == std::string::npos ? number : "null";  // nan, inf
}

void write_json_values(const Reader& reader, Output& out) {
  if (reader.source().element == Element::text) {
    out.write(nlohmann::json(reader.texts()).dump());
    return;
  }
  const auto shape = reader.shape();
  out.write("[");
  reader.slabs([&](std::uint64_t first, const std::vector<std::uint8_t>& bytes) {
    std::string text;
    for (std::size_t i = 0; i < bytes.size() / reader.source().size; ++i) {
      const std::uint64_t index = first + i;
      if (index > 0) text += ",";
      text += brackets(index, shape, true) + json_number(reader.number(bytes.data() + i * reader.source().size)) +
              brackets(index, shape, false);
    }
    out.write(text);
  });
  out.write("]");
}

std::string attribute_or_nothing(const Reader& reader, const char* name) {
  return H5Aexists(reader.id(), name) > 0 ? h5::read_text_attribute(reader.id(), name, reader.path()) : "";
}

void write_json(const Reader& reader, Output& out) {
  const nlohmann::ordered_json facts = {{"path", reader.path()},
                                {"shape", reader.shape()},
                                {"axes", reader.labels()},
                                {"units", attribute_or_nothing(reader, "units")},
                                {"description", attribute_or_nothing(reader, "description")}};
  std::string head = facts.dump();
  head.pop_back();
  out.write(head + ",\"values\":");
  write_json_values(reader, out);
  out.write("}\n");
}

/// Texts as NumPy's fixed-length UTF-32, padded with 0.
struct WideTexts {
  std::size_t width = 1;
  std::vector<std::uint8_t> bytes;
};

WideTexts widen(const std::vector<std::string>& texts) {
  std::vector<std::vector<char32_t>> points(texts.size());
  WideTexts wide;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string text = to_valid_utf8(texts[i]);
    for (std::size_t at = 0; at < text.size();) {
      const auto lead = static_cast<unsigned char>(text[at]);
      const int more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
      char32_t point = more == 0 ? lead : lead & (0x3F >> more);
      for (int k = 1; k <= more; ++k) point = point << 6 | (static_cast<unsigned char>(text[at + static_cast<std::size_t>(k)]) & 0x3F);
      points[i].push_back(point);
      at += static_cast<std::size_t>(more) + 1;
    }
    wide.width = std::max(wide.width, points[i].size());
  }
  wide.bytes.resize(texts.size() * wide.width * 4, 0);
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::memcpy(wide.bytes.data() + i * wide.width * 4, points[i].data(), points[i].size() * 4);
  }
  return wide;
}

/// The array's header and bytes, given to `begin(total bytes)` and then `put(bytes)`.
void write_array(const Reader& reader, const std::function<void(std::uint64_t)>& begin,
                 const std::function<void(std::span<const std::uint8_t>)>& put) {
  const auto put_text = [&](const std::string& text) {
    put({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  if (reader.source().element == Element::text) {
    const WideTexts wide = widen(reader.texts());
    const std::string header = record::npy_header(fmt::format("<U{}", wide.width), reader.shape());
    begin(header.size() + wide.bytes.size());
    put_text(header);
    put(wide.bytes);
    return;
  }
  const std::string header = record::npy_header(reader.source().descr, reader.shape());
  begin(header.size() + reader.elements() * reader.source().size);
  put_text(header);
  reader.slabs([&](std::uint64_t, const std::vector<std::uint8_t>& bytes) { put(bytes); });
}

void write_npz(const std::vector<std::unique_ptr<Reader>>& readers, Output& out) {
  record::ZipWriter zip(out.file(), out.name());
  for (const auto& reader : readers) {
    write_array(*reader, [&](std::uint64_t bytes) { zip.begin(reader->path().substr(1) + ".npy", bytes); },
                [&](std::span<const std::uint8_t> bytes) { zip.write(bytes); });
  }
  zip.finish();
}

}  // namespace

ExportFormat export_format(const std::string& name) {
  const std::vector<std::string> names = {"csv", "npy", "npz", "json"};
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) fail_input("export format '{}': expected csv, npy, npz or json", name);
  return static_cast<ExportFormat>(found - names.begin());
}

void export_datasets(const std::filesystem::path& source, const std::vector<std::string>& paths, ExportFormat format,
                     const std::filesystem::path& out) {
  if (paths.empty()) fail_input("export {}: no dataset named", source.string());
  if (format != ExportFormat::npz && paths.size() != 1) {
    fail_input("export {}: {} datasets, this format takes one (npz takes several)", source.string(), paths.size());
  }
  const h5::Handle file = h5::open_for_reading(source.string());
  std::vector<std::unique_ptr<Reader>> readers;
  for (const std::string& path : paths) {
    for (const auto& other : readers) {
      if (other->path() == path) fail_input("export {}: {} is named twice", source.string(), path);
    }
    readers.push_back(std::make_unique<Reader>(file.get(), source.string(), path));
    readers.back()->elements();
  }
  Output output(out);
  switch (format) {
    case ExportFormat::csv: write_csv(*readers[0], output); break;
    case ExportFormat::json: write_json(*readers[0], output); break;
    case ExportFormat::npz: write_npz(readers, output); break;
    case ExportFormat::npy:
      write_array(*readers[0], [](std::uint64_t) {},
                  [&](std::span<const std::uint8_t> bytes) { output.write(bytes.data(), bytes.size()); });
      break;
  }
  output.publish_file();
}

}  // namespace tide
