#include "synthetic_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tide::test {

namespace {

/// A uniform number in [0, 1) from its place (SplitMix64's finaliser).
double uniform_at(std::uint64_t seed, std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
  std::uint64_t x = seed * 0x9E3779B97F4A7C15u + a * 0xBF58476D1CE4E5B9u + b * 0x94D049BB133111EBu +
                    c * 0xD6E8FEB86659FD93u + d * 0xA0761D6478BD642Fu;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return static_cast<double>((x ^ (x >> 31)) >> 11) * 0x1.0p-53;
}

/// Softmax over weights that differ by position, a little by layer and step.
void fill_row(std::uint64_t seed, int layer, int step_or_row, int head, std::int64_t count, float* row) {
  double sum = 0;
  std::vector<double> weight(static_cast<std::size_t>(count));
  for (std::int64_t p = 0; p < count; ++p) {
    const auto position = static_cast<std::uint64_t>(p);
    const double shared = uniform_at(seed, 1, static_cast<std::uint64_t>(head), position, 0);
    const double own =
        uniform_at(seed, static_cast<std::uint64_t>(layer) + 2, static_cast<std::uint64_t>(head), position,
                   static_cast<std::uint64_t>(step_or_row));
    weight[position] = std::exp(4.0 * shared + 2.0 * own + (p == 0 ? 3.0 : 0.0));
    sum += weight[position];
  }
  for (std::int64_t p = 0; p < count; ++p)
    row[p] = static_cast<float>(weight[static_cast<std::size_t>(p)] / sum);
}

}  // namespace

SyntheticRun::SyntheticRun(SyntheticSpec spec) : spec_(std::move(spec)) {
  if (spec_.max_steps == 0) spec_.max_steps = spec_.steps;
}

Role SyntheticRun::role(int layer) const {
  constexpr std::string_view kLetters = "FS.EK";
  return static_cast<Role>(kLetters.find(spec_.placement[static_cast<std::size_t>(layer)]));
}

SetOrigin SyntheticRun::set_origin(int layer, std::int64_t step) const {
  if (role(layer) != Role::sparse || spec_.cache_from < 0 || step < spec_.cache_from)
    return SetOrigin::untold;
  return step % 3 == 0 ? SetOrigin::anew : SetOrigin::reused;
}

RecorderOptions SyntheticRun::options() const {
  RecorderOptions options;
  options.path = spec_.path;
  options.maps = spec_.maps;
  options.top_k = spec_.top_k;
  options.layers = spec_.layers;
  options.prefill_rows = spec_.prefill_rows;
  options.shadow = spec_.shadow;
  options.tier = spec_.tier;
  options.compression = spec_.compression;
  options.max_bytes = spec_.max_bytes;
  options.queue_steps = spec_.queue_steps;
  return options;
}

RecordingOrigin SyntheticRun::origin() const {
  RecordingOrigin origin;
  origin.config.name = "synthetic";
  origin.config.architecture = "llama";
  origin.config.n_layers = n_layers();
  origin.config.n_heads = spec_.n_heads;
  origin.config.n_kv_heads = spec_.n_kv_heads;
  origin.config.head_dim = spec_.head_dim;
  origin.config.vocab_size = 1000;
  origin.model_sha256 = std::string(64, 'a');
  origin.policy = fmt::format("tidal:budget={},map=none,placement={}", spec_.budget, spec_.placement);
  origin.placement = spec_.placement;
  origin.config_toml = fmt::format("# synthetic\nseed = {}\n", spec_.seed);
  origin.seed = spec_.seed;
  origin.evidence = spec_.evidence;
  for (std::int64_t i = 0; i < spec_.prompt_len; ++i) {
    origin.prompt_ids.push_back(static_cast<std::int32_t>(i + 1));
    origin.prompt_strings.push_back(fmt::format("t{}", i));
  }
  origin.prompt_strings[0] = "\xC3\xA9";                            // é
  if (spec_.prompt_len > 2) origin.prompt_strings[1] = "\xF0\x9F";  // half an emoji
  return origin;
}

std::vector<float> SyntheticRun::full_prob(int layer, std::int64_t step) const {
  const std::int64_t count = kv_len(step);
  std::vector<float> prob(static_cast<std::size_t>(spec_.n_heads * count));
  for (int head = 0; head < spec_.n_heads; ++head) {
    fill_row(spec_.seed, layer, static_cast<int>(step), head, count, prob.data() + head * count);
  }
  return prob;
}

PositionSets SyntheticRun::sets(int layer, std::int64_t step) const {
  int source = layer;
  while (source > 0 && role(source) != Role::select) --source;
  const std::vector<float> prob = full_prob(source, step);
  const std::int64_t count = kv_len(step);
  PositionSets sets;
  sets.n_sets = spec_.n_heads;
  sets.width = static_cast<int>(std::min<std::int64_t>(spec_.budget, count));
  for (int head = 0; head < spec_.n_heads; ++head) {
    const float* weight = prob.data() + head * count;
    std::vector<std::int32_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin() + spec_.n_sinks, order.end(),
                     [&](std::int32_t a, std::int32_t b) { return weight[a] > weight[b]; });
    for (int i = 0; i < sets.width; ++i) {
      sets.position.push_back(order[static_cast<std::size_t>(i)]);
      const bool forced = i < spec_.n_sinks;
      sets.score.push_back(forced ? std::numeric_limits<float>::quiet_NaN() : weight[sets.position.back()]);
    }
    sets.count.push_back(sets.width);
    sets.set_of_head.push_back(head);
  }
  return sets;
}

std::vector<float> SyntheticRun::sparse_prob(int layer, std::int64_t step) const {
  const PositionSets read = sets(layer, step);
  const std::vector<float> prob = full_prob(layer, step);
  std::vector<float> weights;
  for (int head = 0; head < spec_.n_heads; ++head) {
    double sum = 0;
    const auto begin = read.position.begin() + head * read.width;
    for (auto p = begin; p != begin + read.width; ++p)
      sum += prob[static_cast<std::size_t>(head * kv_len(step) + *p)];
    for (auto p = begin; p != begin + read.width; ++p) {
      weights.push_back(static_cast<float>(prob[static_cast<std::size_t>(head * kv_len(step) + *p)] / sum));
    }
  }
  return weights;
}

std::vector<float> SyntheticRun::logits(std::int64_t step) const {
  std::vector<float> logits(1000);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(uniform_at(spec_.seed, 0, 0, i, static_cast<std::uint64_t>(step)));
  }
  return logits;
}

std::vector<float> SyntheticRun::prefill_prob(int layer, std::int64_t row) const {
  std::vector<float> prob(static_cast<std::size_t>(spec_.n_heads * spec_.prompt_len), 0.0f);
  for (int head = 0; head < spec_.n_heads; ++head) {
    fill_row(spec_.seed + 7, layer, static_cast<int>(row), head, row + 1,
             prob.data() + head * spec_.prompt_len);
  }
  return prob;
}

TierCounts SyntheticRun::tier(std::int64_t step) const {
  const std::int64_t n = step + 1;
  return {.bytes = 512 * n * n,
          .wanted = 6 * n,
          .held = n,
          .predicted = 2 * n,
          .missed = 3 * n,
          .fetched = 4 * n,
          .stall_ms = 0.25 * static_cast<double>(n)};
}

void SyntheticRun::feed_prefill(Recorder& recorder) const {
  const auto& rows = spec_.prefill_rows;
  const std::size_t half = (rows.size() + 1) / 2;  // two chunks, as a decoder would
  for (std::size_t begin = 0; begin < rows.size(); begin += half) {
    const std::vector<std::int64_t> queries(
        rows.begin() + static_cast<std::ptrdiff_t>(begin),
        rows.begin() + static_cast<std::ptrdiff_t>(std::min(begin + half, rows.size())));
    for (int layer = 0; layer < n_layers(); ++layer) {
      std::vector<float> prob(static_cast<std::size_t>(spec_.n_heads * spec_.prompt_len) * queries.size());
      for (std::size_t q = 0; q < queries.size(); ++q) {
        const std::vector<float> row = prefill_prob(layer, queries[q]);
        for (int head = 0; head < spec_.n_heads; ++head) {
          const auto from = row.begin() + head * spec_.prompt_len;
          std::copy(from, from + spec_.prompt_len,
                    prob.begin() +
                        (head * std::ssize(queries) + static_cast<std::ptrdiff_t>(q)) * spec_.prompt_len);
        }
      }
      recorder.on_prefill({layer, queries, prob.data(), spec_.prompt_len});
    }
  }
}

void SyntheticRun::feed_step(Recorder& recorder, std::int64_t step) const {
  const std::int64_t count = kv_len(step);
  for (int layer = 0; layer < n_layers(); ++layer) {
    if (!spec_.layers.empty() && !spec_.layers[static_cast<std::size_t>(layer)]) continue;
    const bool sparse = role(layer) != Role::full && role(layer) != Role::select;
    const PositionSets chosen = role(layer) == Role::full ? PositionSets{} : sets(layer, step);
    const std::vector<float> full = full_prob(layer, step);
    const std::vector<float> read = sparse ? sparse_prob(layer, step) : full;
    const std::vector<std::int32_t> rows(static_cast<std::size_t>(spec_.n_kv_heads),
                                         sparse ? chosen.width : static_cast<std::int32_t>(count));
    LayerEvent event{};
    event.layer = layer;
    event.step = step;
    event.role = role(layer);
    event.kv_len = count;
    event.read = sparse ? &chosen : nullptr;
    event.chosen = event.role == Role::select ? &chosen : nullptr;
    event.prob = read.data();
    event.prob_stride = sparse ? chosen.width : count;
    event.shadow_prob = full.data();
    event.shadow_stride = count;
    event.rows_read = rows;
    event.bytes_read = 4 * spec_.head_dim * rows[0] * spec_.n_kv_heads;
    event.set_origin = set_origin(layer, step);
    recorder.on_layer(event);
  }
  const std::vector<float> scores = logits(step);
  const TierCounts counts = tier(step);
  recorder.on_step({step, count,
                    step == 0 ? static_cast<std::int32_t>(spec_.prompt_len) : generated_id(step - 1), scores,
                    1.5f + static_cast<float>(step), spec_.tier ? &counts : nullptr});
  recorder.on_token(generated_id(step), fmt::format(" g{}", step));
}

void write_synthetic(const SyntheticSpec& spec) {
  const SyntheticRun run(spec);
  Recorder recorder(run.options(), run.origin(), run.spec().max_steps);
  run.feed_prefill(recorder);
  for (std::int64_t step = 0; step < spec.steps && !recorder.at_cap(); ++step) run.feed_step(recorder, step);
  recorder.finish();
}

}  // namespace tide::test
