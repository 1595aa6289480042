#include "tests/support/decode_helpers.h"

#include <numeric>

#include "tests/support/tiny_model.h"

namespace tide::testing {

PolicyPtr policy_of(const std::string& spec) {
  static const ModelConfig config = tiny_config();
  return make_policy(spec, {&config, kTinySha});
}

Decoded decode(Decoder& decoder, const std::shared_ptr<const Prompt>& prompt, const PolicyPtr& policy,
               std::int64_t steps, DecodeObserver* observer, const std::vector<std::int32_t>& forced,
               std::uint64_t seed) {
  const auto sequence = decoder.fork(prompt, policy, steps, seed, observer);
  Sequence* row = sequence.get();
  std::int32_t fed = prompt->ids.back();
  Decoded decoded;
  for (std::int64_t step = 0; step < steps; ++step) {
    decoder.step({&row, 1}, {&fed, 1});
    decoded.logits.emplace_back(row->logits().begin(), row->logits().end());
    decoded.ids.push_back(argmax(row->logits()));
    const auto at = static_cast<std::size_t>(step);
    fed = at < forced.size() ? forced[at] : decoded.ids.back();
  }
  return decoded;
}

std::vector<std::int32_t> SeenLayer::positions_of(int head) const {
  std::vector<std::int32_t> positions(static_cast<std::size_t>(kv_len - first));
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(first));
  if (!read) return positions;
  const auto set = static_cast<std::size_t>(read->set_of_head[static_cast<std::size_t>(head)]);
  const auto begin = read->position.begin() + static_cast<std::ptrdiff_t>(set) * read->width;
  return {begin, begin + read->count[set]};
}

ObserverWants KeepingObserver::everything() {
  ObserverWants wants;
  wants.prob = wants.shadow_prob = wants.shadow_output = wants.query = true;
  return wants;
}

void KeepingObserver::on_prefill(const PrefillEvent& event) {
  const auto heads = static_cast<std::size_t>(tiny_config().n_heads);
  const auto size = heads * event.query_positions.size() * static_cast<std::size_t>(event.stride);
  prefills.push_back({event.layer,
                      {event.query_positions.begin(), event.query_positions.end()},
                      {event.prob, event.prob + size},
                      event.stride});
}

void KeepingObserver::on_layer(const LayerEvent& event) {
  const auto keep = [](const float* from, std::int64_t stride) {
    const std::int64_t size = tiny_config().n_heads * stride;
    return from == nullptr ? std::vector<float>() : std::vector<float>(from, from + size);
  };
  const std::int64_t head_dim = tiny_config().head_dim;
  SeenLayer seen;
  seen.layer = event.layer;
  seen.step = event.step;
  seen.kv_len = event.kv_len;
  seen.first = event.first;
  seen.role = event.role;
  if (event.read != nullptr) seen.read = *event.read;
  if (event.chosen != nullptr) seen.chosen = *event.chosen;
  seen.prob = keep(event.prob, event.prob_stride);
  seen.prob_stride = event.prob_stride;
  seen.shadow_prob = keep(event.shadow_prob, event.shadow_stride);
  seen.shadow_stride = event.shadow_stride;
  seen.output = keep(event.output, head_dim);
  seen.shadow_output = keep(event.shadow_output, head_dim);
  seen.query = keep(event.query, head_dim);
  seen.rows_read.assign(event.rows_read.begin(), event.rows_read.end());
  seen.bytes_read = event.bytes_read;
  seen.set_origin = event.set_origin;
  layers.push_back(std::move(seen));
}

void KeepingObserver::on_step(const StepEvent& event) {
  steps.push_back({event.step, event.kv_len, event.fed_id, {event.logits.begin(), event.logits.end()}});
}

}  // namespace tide::testing
