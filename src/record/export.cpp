#include "record/export.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "record/export_source.h"
#include "record/h5.h"
#include "record/npy.h"

namespace tide {

using record::ExportSource;

namespace {

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

void write_csv(const ExportSource& source, Output& out) {
  std::string header;
  for (const std::string& label : source.labels()) header += csv_text(label) + ",";
  const std::string name = source.path().substr(source.path().rfind('/') + 1);
  out.write(header + csv_text(name) + "\n");
  const auto shape = source.shape();
  if (source.is_text()) {
    const auto texts = source.texts();
    for (std::size_t i = 0; i < texts.size(); ++i) out.write(csv_place(i, shape) + csv_text(texts[i]) + "\n");
    return;
  }
  source.slabs([&](std::uint64_t first, const std::vector<std::uint8_t>& bytes) {
    std::string lines;
    for (std::size_t i = 0; i < bytes.size() / source.element().size; ++i) {
      lines += csv_place(first + i, shape) + source.number(bytes.data() + i * source.element().size) + "\n";
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

void write_json_values(const ExportSource& source, Output& out) {
  if (source.is_text()) {
    out.write(nlohmann::json(source.texts()).dump());
    return;
  }
  const auto shape = source.shape();
  out.write("[");
  source.slabs([&](std::uint64_t first, const std::vector<std::uint8_t>& bytes) {
    std::string text;
    for (std::size_t i = 0; i < bytes.size() / source.element().size; ++i) {
      const std::uint64_t index = first + i;
      if (index > 0) text += ",";
      text += brackets(index, shape, true) +
              json_number(source.number(bytes.data() + i * source.element().size)) +
              brackets(index, shape, false);
    }
    out.write(text);
  });
  out.write("]");
}

void write_json(const ExportSource& source, Output& out) {
  const nlohmann::ordered_json facts = {{"path", source.path()},
                                        {"shape", source.shape()},
                                        {"axes", source.labels()},
                                        {"units", source.attribute("units")},
                                        {"description", source.attribute("description")}};
  std::string head = facts.dump();
  head.pop_back();
  out.write(head + ",\"values\":");
  write_json_values(source, out);
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
      for (int k = 1; k <= more; ++k)
        point = point << 6 | (static_cast<unsigned char>(text[at + static_cast<std::size_t>(k)]) & 0x3F);
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
void write_array(const ExportSource& source, const std::function<void(std::uint64_t)>& begin,
                 const std::function<void(std::span<const std::uint8_t>)>& put) {
  const auto put_text = [&](const std::string& text) {
    put({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  if (source.is_text()) {
    const WideTexts wide = widen(source.texts());
    const std::string header = record::npy_header(fmt::format("<U{}", wide.width), source.shape());
    begin(header.size() + wide.bytes.size());
    put_text(header);
    put(wide.bytes);
    return;
  }
  const std::string header = record::npy_header(source.element().descr, source.shape());
  begin(header.size() + source.elements() * source.element().size);
  put_text(header);
  source.slabs([&](std::uint64_t, const std::vector<std::uint8_t>& bytes) { put(bytes); });
}

void write_npz(const std::vector<std::unique_ptr<ExportSource>>& readers, Output& out) {
  record::ZipWriter zip(out.file(), out.name());
  for (const auto& source : readers) {
    write_array(
        *source, [&](std::uint64_t bytes) { zip.begin(source->path().substr(1) + ".npy", bytes); },
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

void export_datasets(const std::filesystem::path& recording, const std::vector<std::string>& paths,
                     ExportFormat format, const std::filesystem::path& out) {
  if (paths.empty()) fail_input("export {}: no dataset named", recording.string());
  if (format != ExportFormat::npz && paths.size() != 1) {
    fail_input("export {}: {} datasets, this format takes one (npz takes several)", recording.string(),
               paths.size());
  }
  const h5::Handle file = h5::open_for_reading(recording.string());
  std::vector<std::unique_ptr<ExportSource>> readers;
  for (const std::string& path : paths) {
    for (const auto& other : readers) {
      if (other->path() == path) fail_input("export {}: {} is named twice", recording.string(), path);
    }
    readers.push_back(std::make_unique<ExportSource>(file.get(), recording.string(), path));
    readers.back()->elements();
  }
  Output output(out);
  switch (format) {
    case ExportFormat::csv:
      write_csv(*readers[0], output);
      break;
    case ExportFormat::json:
      write_json(*readers[0], output);
      break;
    case ExportFormat::npz:
      write_npz(readers, output);
      break;
    case ExportFormat::npy:
      write_array(
          *readers[0], [](std::uint64_t) {},
          [&](std::span<const std::uint8_t> bytes) { output.write(bytes.data(), bytes.size()); });
      break;
  }
  output.publish_file();
}

}  // namespace tide
