#include "record/soundness.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "base/error.h"
#include "record/h5.h"
#include "record/half.h"
#include "record/layout.h"
#include "record/read_dataset.h"

namespace tide::record {

namespace {

constexpr std::uint8_t kMaxRole = 4;
constexpr std::uint8_t kFullRole = 0, kSelectRole = 1;
/// Another program's attention may have been computed in bfloat16.
constexpr double kImportedTolerance = 2e-2;
constexpr double kTolerance = 1e-3;

/// Says what is wrong by throwing; the caller turns it into a failed check.
template <typename... Args>
[[noreturn]] void problem(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(fmt::format(format, std::forward<Args>(args)...));
}

class Checker {
 public:
  explicit Checker(const RecordingReader& reader)
      : reader_(reader),
        info_(reader.info()),
        name_(reader.path().string()),
        kv_len_(reader.kv_len()),
        file_(h5::open_for_reading(name_)) {}

  std::vector<SoundnessCheck> run() {
    add("complete, with every step committed", [&] { complete(); });
    add("kv_len is prompt_len + t", [&] { lengths(); });
    add("tokens for every position", [&] { tokens(); });
    if (reader_.has_tier())
      add("/steps/tier_*: held, predicted and missed make up what was wanted", [&] { tier(); });
    for (const int layer : reader_.layers()) {
      const std::string path = layer_path(layer, info_.n_layers);
      add(path + ": roles, rows and bytes read", [&] { counts(layer); });
      if (reader_.has_prob(layer))
        add(path + "/prob: rows sum to 1, 0 beyond kv_len", [&] { map(layer, "/prob"); });
      if (reader_.has_shadow_prob(layer)) {
        add(path + "/shadow_prob: rows sum to 1, 0 beyond kv_len", [&] { map(layer, "/shadow_prob"); });
      }
      if (reader_.has_top(layer)) add(path + "/top_position: distinct, weights falling", [&] { top(layer); });
      if (h5::has_path(file_.get(), path + "/selected")) {
        add(path + "/selected: distinct, in range, forced first, then by falling score",
            [&] { selected(layer); });
        if (reader_.has_prob(layer)) add(path + "/prob: 0 off the set", [&] { off_set(layer); });
      }
    }
    if (h5::has_path(file_.get(), "/prefill"))
      add("/prefill: rows sum to 1, 0 beyond the query", [&] { prefill(); });
    return std::move(checks_);
  }

 private:
  void add(std::string what, const std::function<void()>& check) {
    SoundnessCheck result{std::move(what), ""};
    try {
      check();
    } catch (const InputError& error) {
      result.problem = error.what();
    }
    checks_.push_back(std::move(result));
  }

  double tolerance(std::int64_t length) const {
    // Half a unit of the smallest subnormal a weight is lost when rounded to float16.
    return (info_.policy == "imported" ? kImportedTolerance : kTolerance) +
           static_cast<double>(length) * 0x1.0p-25;
  }

  std::int64_t rows_of(const std::string& path) const {
    const h5::Handle dataset(h5::input(H5Dopen2(file_.get(), path.c_str(), H5P_DEFAULT), name_, path));
    return static_cast<std::int64_t>(h5::extents(dataset.get()).at(0));
  }

  void complete() const {
    if (!info_.complete) {
      problem("the recording was cut off: {} steps were committed (--recover copies them out)",
              info_.committed_steps);
    }
    std::vector<std::string> paths = {"/steps/kv_len", "/steps/latency_ms", "/steps/logits_hash",
                                      "/tokens/generated_ids", "/tokens/fed_ids"};
    for (const int layer : reader_.layers()) {
      for (const char* dataset : {"/role", "/rows_read", "/bytes_read", "/prob", "/shadow_prob",
                                  "/top_position", "/top_prob", "/selected", "/selected_score", "/reused"}) {
        const std::string path = layer_path(layer, info_.n_layers) + dataset;
        if (h5::has_path(file_.get(), path)) paths.push_back(path);
      }
    }
    if (reader_.has_tier()) {
      paths.emplace_back(kTierStall);
      for (const TierDataset& dataset : kTierDatasets) paths.emplace_back(dataset.path);
    }
    for (const std::string& path : paths) {
      if (!h5::has_path(file_.get(), path)) problem("{} is missing", path);
      if (rows_of(path) != info_.committed_steps) {
        problem("{} has {} steps, expected {}", path, rows_of(path), info_.committed_steps);
      }
    }
  }

  void lengths() const {
    for (std::size_t step = 0; step < kv_len_.size(); ++step) {
      const auto expected = info_.prompt_len + static_cast<std::int64_t>(step);
      if (kv_len_[step] != expected)
        problem("step {}: kv_len is {}, expected {}", step, kv_len_[step], expected);
    }
    if (std::ssize(reader_.latency_ms()) != std::ssize(kv_len_)) problem("latency_ms is short");
    reader_.logits_hash();
  }

  void tokens() const {
    reader_.prompt_ids();
    reader_.evidence();
    reader_.generated_ids();
    reader_.fed_ids();
    reader_.token_strings();
  }

  void tier() const {
    const TierSteps tier = *reader_.tier();
    std::int64_t predicted = 0, fetched = 0;
    for (std::size_t step = 0; step < tier.wanted.size(); ++step) {
      for (const TierDataset& dataset : kTierDatasets) {
        const std::int64_t value = (tier.*dataset.values)[step];
        if (value < 0) problem("step {}: {} is {}", step, dataset.path, value);
      }
      if (!(tier.stall_ms[step] >= 0)) problem("step {}: {} is {}", step, kTierStall, tier.stall_ms[step]);
      const std::int64_t sum = tier.held[step] + tier.predicted[step] + tier.missed[step];
      if (sum != tier.wanted[step])
        problem("step {}: {} blocks held, predicted and missed, {} wanted", step, sum, tier.wanted[step]);
      predicted += tier.predicted[step];  // perhaps brought in an earlier step
      fetched += tier.fetched[step];
      if (predicted > fetched)
        problem("step {}: {} blocks predicted so far, {} fetched", step, predicted, fetched);
    }
  }

  void counts(int layer) const {
    for (const std::uint8_t role : reader_.role(layer)) {
      if (role > kMaxRole) problem("role {} is not one of 0 to {}", role, kMaxRole);
    }
    const auto rows = reader_.rows_read(layer);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t step = i / static_cast<std::size_t>(info_.n_kv_heads);
      if (rows[i] < 1 || rows[i] > kv_len_[step]) {
        problem("step {}: rows_read is {}, expected 1 to {}", step, rows[i], kv_len_[step]);
      }
    }
    for (const std::int64_t bytes : reader_.bytes_read(layer)) {
      if (bytes < -1) problem("bytes_read is {}", bytes);
    }
    const auto reused = reader_.reused(layer).value_or(std::vector<std::int8_t>{});
    for (std::size_t step = 0; step < reused.size(); ++step) {
      if (reused[step] < -1 || reused[step] > 1) {
        problem("step {}: reused is {}, expected -1, 0 or 1", step, reused[step]);
      }
    }
  }

  /// One row of weights, by position: a probability distribution over its first `length` positions.
  void check_row(const float* row, std::int64_t length, std::int64_t width, const std::string& place) const {
    double sum = 0;
    for (std::int64_t p = 0; p < width; ++p) {
      if (!std::isfinite(row[p]) || row[p] < 0) problem("{}, position {}: {} is no weight", place, p, row[p]);
      if (p >= length && row[p] != 0)
        problem("{}, position {}: {} beyond length {}", place, p, row[p], length);
      sum += row[p];
    }
    if (std::abs(sum - 1) > tolerance(length)) problem("{}: weights sum to {}, expected 1", place, sum);
  }

  void map(int layer, const char* dataset) const {
    const OpenDataset open = open_dataset(file_.get(), name_, layer_path(layer, info_.n_layers) + dataset,
                                          Element::f16, {-1, info_.n_heads, -1}, true);
    const auto heads = static_cast<hsize_t>(info_.n_heads), width = open.size[2];
    std::vector<std::uint16_t> half(checked_elements(open, name_, {1, heads, width}));
    std::vector<float> prob(half.size());
    for (std::size_t step = 0; step < kv_len_.size(); ++step) {
      read_box(open, name_, {step, 0, 0}, {1, heads, width}, Element::f16, half.data());
      from_half(half.data(), std::ssize(half), prob.data());
      for (std::size_t head = 0; head < heads; ++head) {
        check_row(prob.data() + head * width, kv_len_[step], static_cast<std::int64_t>(width),
                  fmt::format("step {}, head {}", step, head));
      }
    }
  }

  void top(int layer) const {
    std::vector<std::int32_t> position;
    std::vector<float> prob;
    for (std::int64_t step = 0; step < info_.committed_steps; ++step) {
      reader_.read_top(layer, step, position, prob);
      const std::size_t k = position.size() / static_cast<std::size_t>(info_.n_heads);
      for (std::size_t i = 0; i < position.size(); ++i) {
        const std::string place = fmt::format("step {}, head {}, rank {}", step, i / k, i % k);
        if (position[i] < -1 || position[i] >= kv_len_[static_cast<std::size_t>(step)]) {
          problem("{}: position {} is out of range", place, position[i]);
        }
        if (i % k != 0 && prob[i] > prob[i - 1])
          problem("{}: weight {} follows {}", place, prob[i], prob[i - 1]);
        const auto row = position.begin() + static_cast<std::ptrdiff_t>(i / k * k);
        const auto here = position.begin() + static_cast<std::ptrdiff_t>(i);
        if (position[i] >= 0 && std::find(row, here, position[i]) != here) {
          problem("{}: position {} stands there twice", place, position[i]);
        }
      }
    }
  }

  /// One set: forced positions ascending (score NaN), then by falling score, then pads.
  static void check_set(const std::int32_t* position, const float* score, std::int64_t width,
                        std::int64_t length, const std::string& place) {
    std::set<std::int32_t> seen;
    bool padding = false, scored = false;
    for (std::int64_t i = 0; i < width; ++i) {
      const bool forced = std::isnan(score[i]);
      if (position[i] == -1) {
        if (!forced) problem("{}: a pad has score {}", place, score[i]);
        padding = true;
        continue;
      }
      if (padding) problem("{}: position {} follows a pad", place, position[i]);
      if (position[i] < 0 || position[i] >= length)
        problem("{}: position {} of {}", place, position[i], length);
      if (!seen.insert(position[i]).second) problem("{}: position {} stands there twice", place, position[i]);
      if (forced && scored) problem("{}: forced position {} follows a scored one", place, position[i]);
      if (i > 0 && forced && position[i] < position[i - 1])
        problem("{}: forced positions are not ascending", place);
      if (scored &&
          (score[i] > score[i - 1] || (score[i] == score[i - 1] && position[i] < position[i - 1]))) {
        problem("{}: position {} with score {} follows {} with {}", place, position[i], score[i],
                position[i - 1], score[i - 1]);
      }
      scored = scored || !forced;
    }
  }

  void selected(int layer) const {
    const SelectedPositions sets = *reader_.selected(layer);
    const auto roles = reader_.role(layer);
    for (std::int64_t step = 0; step < sets.steps; ++step) {
      for (std::int64_t set = 0; set < sets.n_sets; ++set) {
        const std::int64_t at = (step * sets.n_sets + set) * sets.width;
        const std::string place = fmt::format("step {}, set {}", step, set);
        check_set(sets.position.data() + at, sets.score.data() + at, sets.width,
                  kv_len_[static_cast<std::size_t>(step)], place);
      }
    }
  }

  void off_set(int layer) const {
    const SelectedPositions sets = *reader_.selected(layer);
    const auto roles = reader_.role(layer);
    std::vector<float> prob;
    for (std::int64_t step = 0; step < sets.steps; ++step) {
      const std::uint8_t role = roles[static_cast<std::size_t>(step)];
      const std::int64_t step_at = step * sets.n_sets * sets.width;
      if (role == kFullRole || role == kSelectRole || sets.position[static_cast<std::size_t>(step_at)] == -1)
        continue;
      reader_.read_prob(layer, step, false, prob);
      const std::int64_t length = kv_len_[static_cast<std::size_t>(step)];
      for (std::int64_t head = 0; head < info_.n_heads; ++head) {
        const auto begin =
            sets.position.begin() + step_at + sets.set_of_head[static_cast<std::size_t>(head)] * sets.width;
        for (auto p = begin; p != begin + sets.width; ++p) {
          if (*p >= 0 && *p < length) prob[static_cast<std::size_t>(head * length + *p)] = 0;
        }
        for (std::int64_t p = 0; p < length; ++p) {
          const float weight = prob[static_cast<std::size_t>(head * length + p)];
          if (weight != 0)
            problem("step {}, head {}: weight {} at position {}, which is not in the set", step, head, weight,
                    p);
        }
      }
    }
  }

  void prefill() const {
    const auto queries = reader_.prefill_query_positions();
    std::vector<float> prob;
    for (const int layer : reader_.layers()) {
      reader_.read_prefill_prob(layer, prob);
      for (std::int64_t head = 0; head < info_.n_heads; ++head) {
        for (std::int64_t q = 0; q < std::ssize(queries); ++q) {
          check_row(
              prob.data() + (head * std::ssize(queries) + q) * info_.prompt_len,
              queries[static_cast<std::size_t>(q)] + 1, info_.prompt_len,
              fmt::format("layer {}, head {}, query {}", layer, head, queries[static_cast<std::size_t>(q)]));
        }
      }
    }
  }

  const RecordingReader& reader_;
  const RecordingInfo& info_;
  std::string name_;
  std::vector<std::int64_t> kv_len_;
  h5::Handle file_;
  std::vector<SoundnessCheck> checks_;
};

}  // namespace

std::vector<SoundnessCheck> check_recording(const RecordingReader& reader) { return Checker(reader).run(); }

}  // namespace tide::record
