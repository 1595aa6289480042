#include "record/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/float16.h"
#include "record/npy.h"
#include "record/recording_file.h"
#include "record/step_filler.h"

namespace tide {

namespace {

constexpr double kSumTolerance = 2e-2;  // attention computed in bfloat16 is no closer
constexpr int kMaxLayers = 10000;

using record::NpyHeader;
using record::ZipMember;

/// "layer_07.npy" -> 7; -1: another name.
int layer_of(const std::string& name) {
  constexpr std::string_view kPrefix = "layer_", kSuffix = ".npy";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return -1;
  const std::string digits = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("0123456789") != std::string::npos)
    return -1;
  return std::stoi(digits);
}

std::map<int, ZipMember> layers_of(const std::vector<ZipMember>& members, const std::string& file) {
  std::map<int, ZipMember> layers;
  for (const ZipMember& member : members) {
    const int layer = layer_of(member.name);
    if (layer < 0 || layer >= kMaxLayers)
      fail_input("read {}: array '{}': expected layer_NN", file, member.name);
    if (!layers.emplace(layer, member).second)
      fail_input("read {}: layer {} stands there twice", file, layer);
  }
  if (layers.empty()) fail_input("read {}: no arrays, expected layer_00 and so on", file);
  for (int layer = 0; layer < std::ssize(layers); ++layer) {
    if (!layers.contains(layer)) fail_input("read {}: array layer_{:02d} is missing", file, layer);
  }
  return layers;
}

std::size_t element_bytes(const std::string& descr, const std::string& where) {
  if (descr == "<f2") return 2;
  if (descr == "<f4") return 4;
  if (descr == "<f8") return 8;
  fail_input("read {}: elements are '{}', expected little-endian float16, float32 or float64", where, descr);
}

float element_at(const std::uint8_t* data, std::size_t size) {
  if (size == 2) {
    std::uint16_t half;
    std::memcpy(&half, data, size);
    return half_to_float(half);
  }
  if (size == 4) {
    float value;
    std::memcpy(&value, data, size);
    return value;
  }
  double value;
  std::memcpy(&value, data, size);
  return static_cast<float>(value);
}

std::vector<float> values_of(const std::vector<std::uint8_t>& bytes, const NpyHeader& header,
                             const std::string& where) {
  const std::size_t size = element_bytes(header.descr, where);
  std::uint64_t count = 1;
  for (const std::int64_t extent : header.shape) {
    if (extent < 1 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(extent), &count)) {
      fail_input("read {}: shape [{}]", where, fmt::join(header.shape, ", "));
    }
  }
  if (count > bytes.size() || count * size != bytes.size() - header.header_bytes) {
    fail_input("read {}: {} bytes of values, shape [{}] needs {} elements of {} bytes", where,
               bytes.size() - header.header_bytes, fmt::join(header.shape, ", "), count, size);
  }
  std::vector<float> values(count);
  const std::uint8_t* data = bytes.data() + header.header_bytes;
  for (std::uint64_t i = 0; i < count; ++i) values[i] = element_at(data + i * size, size);
  return values;
}

void check_shape(const NpyHeader& header, const ImportedAttention& dump, bool first,
                 const std::string& where) {
  if (header.fortran_order)
    fail_input("read {}: column-major, expected row-major (np.ascontiguousarray)", where);
  if (header.shape.size() != 3) {
    fail_input("read {}: shape [{}], expected [steps, heads, positions]", where,
               fmt::join(header.shape, ", "));
  }
  if (first && header.shape[2] < header.shape[0]) {
    fail_input("read {}: {} positions for {} steps, expected at least one a step", where, header.shape[2],
               header.shape[0]);
  }
  if (header.shape[1] > 65536) fail_input("read {}: {} heads", where, header.shape[1]);
  const std::vector<std::int64_t> expected = {dump.steps, dump.n_heads, dump.positions};
  if (!first && header.shape != expected) {
    fail_input("read {}: shape [{}], layer_00 has [{}]", where, fmt::join(header.shape, ", "),
               fmt::join(expected, ", "));
  }
}

void check_values(const std::vector<float>& prob, const ImportedAttention& dump, const std::string& where) {
  for (std::int64_t step = 0; step < dump.steps; ++step) {
    const std::int64_t length = dump.positions - dump.steps + step + 1;
    for (std::int64_t head = 0; head < dump.n_heads; ++head) {
      const float* row = prob.data() + (step * dump.n_heads + head) * dump.positions;
      double sum = 0;
      for (std::int64_t p = 0; p < dump.positions; ++p) {
        if (!std::isfinite(row[p]) || row[p] < 0) {
          fail_input("read {}: step {}, head {}, position {}: {} is no weight", where, step, head, p, row[p]);
        }
        if (p >= length && row[p] != 0) {
          fail_input("read {}: step {}, head {}, position {}: {} where the step has {} positions, expected 0",
                     where, step, head, p, row[p], length);
        }
        sum += row[p];
      }
      if (std::abs(sum - 1) > kSumTolerance) {
        fail_input("read {}: step {}, head {}: weights sum to {:.4g}, expected 1 (after softmax)", where,
                   step, head, sum);
      }
    }
  }
}

record::Layout layout_of(const ImportedAttention& dump) {
  record::Layout layout;
  layout.n_layers = dump.n_layers;
  layout.n_heads = dump.n_heads;
  layout.n_kv_heads = dump.n_kv_heads;
  for (int layer = 0; layer < dump.n_layers; ++layer) layout.layers.push_back(layer);
  layout.prob = true;
  layout.compress = true;
  layout.prompt_len = dump.positions - dump.steps + 1;
  layout.max_steps = dump.steps;
  record::choose_chunks(layout, 0);
  return layout;
}

record::FileFacts facts_of(const ImportedAttention& dump, const record::Layout& layout) {
  record::FileFacts facts;
  facts.info.tool_version = TIDEGAUGE_VERSION;
  facts.info.model_name = dump.model_name;
  facts.info.config_toml = dump.config_toml;
  facts.info.policy = "imported";
  facts.info.placement = std::string(static_cast<std::size_t>(dump.n_layers), 'F');
  facts.info.created = record::utc_now();
  facts.prompt_ids.assign(static_cast<std::size_t>(layout.prompt_len), -1);
  facts.prompt_strings.resize(facts.prompt_ids.size());
  facts.hash_algorithm = "none";
  return facts;
}

void fill_imported(const ImportedAttention& dump, const record::Layout& layout, record::StepBlock& block) {
  for (std::int64_t slot = 0; slot < block.n_steps; ++slot) {
    const std::int64_t step = block.first_step + slot, length = layout.prompt_len + step;
    const auto at = static_cast<std::size_t>(slot);
    block.kv_len[at] = length;
    block.latency_ms[at] = std::numeric_limits<float>::quiet_NaN();
    block.logits_hash[at] = 0;
    block.fed_id[at] = block.generated_id[at] = -1;
    for (std::size_t layer = 0; layer < block.layers.size(); ++layer) {
      record::LayerBlock& to = block.layers[layer];
      to.role[at] = 0;
      to.bytes_read[at] = -1;
      std::fill_n(to.rows_read.begin() + slot * layout.n_kv_heads, layout.n_kv_heads,
                  static_cast<std::int32_t>(length));
      record::fill_map(layout, dump.prob[layer].data() + step * dump.n_heads * dump.positions, dump.positions,
                       length, slot, to.prob);
    }
  }
}

}  // namespace

ImportedAttention read_attention_npz(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::span<const std::uint8_t> archive(reinterpret_cast<const std::uint8_t*>(file.bytes().data()),
                                              file.bytes().size());
  const std::string name = path.string();
  ImportedAttention dump;
  for (const auto& [layer, member] : layers_of(record::zip_members(archive, name), name)) {
    const std::string where = fmt::format("{}: layer_{:02d}", name, layer);
    const std::vector<std::uint8_t> bytes = record::zip_unpack(archive, member, name);
    const NpyHeader header = record::parse_npy_header(bytes, where);
    check_shape(header, dump, layer == 0, where);
    dump.steps = header.shape[0];
    dump.n_heads = static_cast<int>(header.shape[1]);
    dump.positions = header.shape[2];
    dump.prob.push_back(values_of(bytes, header, where));
    check_values(dump.prob.back(), dump, where);
  }
  dump.n_layers = static_cast<int>(dump.prob.size());
  return dump;
}

void write_imported(const std::filesystem::path& path, const ImportedAttention& dump) {
  TIDE_ASSERT(dump.steps >= 1 && dump.positions >= dump.steps && std::ssize(dump.prob) == dump.n_layers);
  const record::Layout layout = layout_of(dump);
  record::RecordingFile file(path, layout, facts_of(dump, layout));
  record::StepBlock block(layout);
  for (std::int64_t first = 0; first < dump.steps; first += layout.chunk_steps) {
    block.restart(first);
    block.n_steps = std::min(layout.chunk_steps, dump.steps - first);
    fill_imported(dump, layout, block);
    file.append(block);
  }
  file.finish();
}

}  // namespace tide
