#include "sweep/batch.h"

#include <chrono>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tide {

namespace {

struct Active {
  DecodeJob job;
  std::unique_ptr<Sequence> sequence;
  std::int32_t fed_id;
  StepCost sum;
  bool ended = false;
};

/// The job's sequence, or nothing when it cannot begin.
std::optional<Active> begin(Decoder& decoder, DecodeJob job) {
  try {
    auto sequence = decoder.fork(job.prompt, job.policy, job.max_steps, job.seed, job.observer);
    const std::int32_t first = job.prompt->ids.back();
    return Active{std::move(job), std::move(sequence), first, {}};
  } catch (const InputError& error) {
    job.failed(error.what());
    return std::nullopt;
  }
}

void fill(Decoder& decoder, std::size_t batch_size, const JobSource& source, std::vector<Active>& active) {
  while (active.size() < batch_size) {
    auto job = source();
    if (!job) return;
    if (auto row = begin(decoder, std::move(*job))) active.push_back(std::move(*row));
  }
}

void take_step(Decoder& decoder, std::vector<Active>& active) {
  std::vector<Sequence*> rows;
  std::vector<std::int32_t> fed_ids;
  for (const Active& row : active) {
    rows.push_back(row.sequence.get());
    fed_ids.push_back(row.fed_id);
  }
  const auto begin_time = std::chrono::steady_clock::now();
  decoder.step(rows, fed_ids);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin_time;
  for (Active& row : active) {
    row.sum.step_ms += took.count();
    row.sum.rows += static_cast<double>(active.size());
    const auto steps = static_cast<double>(row.sequence->step());
    const auto next = row.job.next(*row.sequence, {row.sum.step_ms / steps, row.sum.rows / steps});
    if (next) {
      row.fed_id = *next;
      continue;
    }
    row.job.done();
    row.ended = true;
  }
  std::erase_if(active, [](const Active& row) { return row.ended; });
}

}  // namespace

void run_batch(Decoder& decoder, int batch_size, const JobSource& source,
               const std::function<void()>& after_step) {
  TIDE_ASSERT(batch_size > 0);
  std::vector<Active> active;
  while (true) {
    fill(decoder, static_cast<std::size_t>(batch_size), source, active);
    if (active.empty()) return;
    take_step(decoder, active);
    after_step();
  }
}

}  // namespace tide
