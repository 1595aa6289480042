#include "model/llama_gguf.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/float16.h"
#include "model/printable.h"

namespace tide {

namespace {

constexpr std::int64_t kRowsATask = 512;

/// Rows of a GGUF tensor that go to rows of one of ours.
struct RowCopy {
  const GgufTensor* from;
  void* to;  ///< first destination row
  kernels::DType dtype;
  std::int64_t first, count;
  std::int64_t permuted_head_dim;  ///< 0: rows keep their order
};

/// Converted llama checkpoints interleave the two halves of a head's rotary pairs: row 2i + j of a
/// head in the file is row j * head_dim / 2 + i of ours.
std::int64_t destination_row(std::int64_t row, std::int64_t head_dim) {
  if (head_dim == 0) return row;
  const std::int64_t in_head = row % head_dim;
  return row - in_head + (in_head % 2) * (head_dim / 2) + in_head / 2;
}

void run_copy(const RowCopy& copy) {
  const std::int64_t columns = copy.from->shape.back();
  std::vector<float> rows(static_cast<std::size_t>(copy.count * columns));
  dequantise_rows(*copy.from, copy.first, copy.count, rows.data());
  for (std::int64_t i = 0; i < copy.count; ++i) {
    const float* from = rows.data() + i * columns;
    const std::int64_t to = destination_row(copy.first + i, copy.permuted_head_dim) * columns;
    if (copy.dtype == kernels::DType::f32) {
      std::copy_n(from, columns, static_cast<float*>(copy.to) + to);
    } else {
      std::transform(from, from + columns, static_cast<std::uint16_t*>(copy.to) + to, float_to_bfloat16);
    }
  }
}

/// A matrix of the file that becomes some rows of ours.
struct Part {
  std::string name;
  std::int64_t rows;
  std::int64_t permuted_head_dim = 0;
};

/// Collects the copies of a whole model, then runs them on a few threads.
class Loader {
 public:
  Loader(const GgufFile& file, kernels::DType dtype) : file_(file), dtype_(dtype) {}

  /// Tensors of the same width, one below the other. Shapes are checked before anything is allocated:
  /// a forged size must not ask for terabytes.
  at::Tensor stacked(const std::vector<Part>& parts, std::int64_t columns) {
    std::int64_t rows = 0;
    for (const Part& part : parts) {
      tensor(part.name, std::array{part.rows, columns});
      rows += part.rows;
    }
    at::Tensor to = at::empty({rows, columns}, dtype_ == kernels::DType::f32 ? at::kFloat : at::kBFloat16);
    std::int64_t first_row = 0;
    for (const Part& part : parts) {
      add(part, static_cast<std::byte*>(to.data_ptr()) + first_row * columns * to.element_size());
      first_row += part.rows;
    }
    return to;
  }

  at::Tensor whole(const std::string& name, std::int64_t rows, std::int64_t columns) {
    return stacked({{name, rows}}, columns);
  }

  at::Tensor vector(const std::string& name, std::int64_t size) {
    const GgufTensor& from = tensor(name, std::array{size});
    at::Tensor to = at::empty({size}, at::kFloat);
    dequantise_rows(from, 0, 1, to.data_ptr<float>());
    return to;
  }

  /// Refuses tensors that nobody asked for (biases, say): without them the arithmetic would be another.
  void refuse_unused() const {
    for (const auto& [name, tensor] : file_.tensors()) {
      if (!used_.contains(name)) {
        fail_input("{}: tensor {} has no place in the supported llama architecture", file_.path().string(),
                   printable(name));
      }
    }
  }

  void run() {
    std::atomic<std::size_t> next = 0;
    std::exception_ptr failure;
    std::mutex failure_mutex;
    const auto work = [&] {
      try {
        for (std::size_t i = next++; i < copies_.size(); i = next++) run_copy(copies_[i]);
      } catch (...) {
        const std::scoped_lock lock(failure_mutex);
        failure = std::current_exception();
      }
    };
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      threads.emplace_back(work);
    work();
    threads.clear();
    if (failure) std::rethrow_exception(failure);
  }

 private:
  template <std::size_t N>
  const GgufTensor& tensor(const std::string& name, const std::array<std::int64_t, N>& shape) {
    used_.insert(name);
    return file_.tensor(name, shape);
  }

  void add(const Part& part, std::byte* to) {
    const GgufTensor& from = file_.tensors().at(part.name);
    for (std::int64_t row = 0; row < part.rows; row += kRowsATask) {
      copies_.push_back(
          {&from, to, dtype_, row, std::min(kRowsATask, part.rows - row), part.permuted_head_dim});
    }
  }

  const GgufFile& file_;
  kernels::DType dtype_;
  std::vector<RowCopy> copies_;
  std::set<std::string> used_;
};

LayerWeights add_layer(Loader& loader, const ModelConfig& config, int layer) {
  const std::string prefix = fmt::format("blk.{}.", layer);
  const std::int64_t hidden = config.hidden_size, ffn = config.ffn_size, head_dim = config.head_dim;
  const std::int64_t q_rows = config.n_heads * head_dim, kv_rows = config.n_kv_heads * head_dim;
  LayerWeights weights;
  weights.attention_norm = loader.vector(prefix + "attn_norm.weight", hidden);
  weights.qkv = loader.stacked({{prefix + "attn_q.weight", q_rows, head_dim},
                                {prefix + "attn_k.weight", kv_rows, head_dim},
                                {prefix + "attn_v.weight", kv_rows}},
                               hidden);
  weights.output = loader.whole(prefix + "attn_output.weight", hidden, q_rows);
  weights.ffn_norm = loader.vector(prefix + "ffn_norm.weight", hidden);
  weights.gate_up =
      loader.stacked({{prefix + "ffn_gate.weight", ffn}, {prefix + "ffn_up.weight", ffn}}, hidden);
  weights.down = loader.whole(prefix + "ffn_down.weight", hidden, ffn);
  return weights;
}

/// An integer that must fit an int, so that a forged file cannot wrap around.
int small_integer(const GgufFile& file, const std::string& key) {
  const std::int64_t value = file.integer(key);
  if (value < 0 || value > (1 << 30)) {
    fail_input("{}: {} is {}, expected 0 to 2^30", file.path().string(), key, value);
  }
  return static_cast<int>(value);
}

void refuse_unsupported(const GgufFile& file) {
  const std::string path = file.path().string();
  if (file.has("llama.rope.scaling.type") && file.text("llama.rope.scaling.type") != "none") {
    fail_input("{}: llama.rope.scaling.type is '{}', supported is 'none'", path,
               printable(file.text("llama.rope.scaling.type")));
  }
  if (file.tensors().contains("rope_freqs.weight")) {
    fail_input("{}: tensor rope_freqs.weight asks for scaled rotary frequencies, which are not supported",
               path);
  }
  for (const auto& [key, value] : file.metadata()) {
    if (key == "llama.expert_count" && file.integer(key) > 0) {
      fail_input("{}: llama.expert_count is {}, mixtures of experts are not supported", path,
                 file.integer(key));
    }
  }
}

}  // namespace

ModelConfig read_llama_config(const GgufFile& file) {
  const std::string path = file.path().string();
  ModelConfig config;
  config.architecture = file.text("general.architecture");
  if (config.architecture != "llama") {
    fail_input("{}: general.architecture is '{}', supported is 'llama'", path,
               printable(config.architecture));
  }
  refuse_unsupported(file);
  config.name = file.has("general.name") ? file.text("general.name") : file.path().stem().string();
  config.n_layers = small_integer(file, "llama.block_count");
  config.n_heads = small_integer(file, "llama.attention.head_count");
  config.n_kv_heads = file.has("llama.attention.head_count_kv")
                          ? small_integer(file, "llama.attention.head_count_kv")
                          : config.n_heads;
  config.hidden_size = small_integer(file, "llama.embedding_length");
  config.ffn_size = small_integer(file, "llama.feed_forward_length");
  config.max_positions = small_integer(file, "llama.context_length");
  config.vocab_size = static_cast<int>(file.texts("tokenizer.ggml.tokens").size());
  config.rope_theta = file.has("llama.rope.freq_base") ? file.number("llama.rope.freq_base") : 10000.0;
  config.rms_epsilon = static_cast<float>(file.number("llama.attention.layer_norm_rms_epsilon"));
  if (config.n_heads <= 0) fail_input("{}: llama.attention.head_count is 0, expected at least 1", path);
  config.head_dim = file.has("llama.attention.key_length") ? small_integer(file, "llama.attention.key_length")
                                                           : config.hidden_size / config.n_heads;
  validate(config, path);
  if (file.has("llama.rope.dimension_count") &&
      small_integer(file, "llama.rope.dimension_count") != config.head_dim) {
    fail_input("{}: llama.rope.dimension_count is {}, supported is head_dim {}", path,
               file.integer("llama.rope.dimension_count"), config.head_dim);
  }
  return config;
}

std::unique_ptr<Weights> read_llama_weights(const GgufFile& file, const ModelConfig& config,
                                            kernels::DType dtype) {
  Loader loader(file, dtype);
  auto weights = std::make_unique<Weights>();
  weights->embedding = loader.whole("token_embd.weight", config.vocab_size, config.hidden_size);
  weights->lm_head = file.tensors().contains("output.weight")
                         ? loader.whole("output.weight", config.vocab_size, config.hidden_size)
                         : weights->embedding;
  weights->final_norm = loader.vector("output_norm.weight", config.hidden_size);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    weights->layers.push_back(add_layer(loader, config, layer));
  }
  loader.refuse_unused();
  loader.run();
  return weights;
}

}  // namespace tide
