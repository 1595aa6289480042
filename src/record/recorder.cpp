#include "record/recorder.h"

#include <xxhash.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "decode/tier_counts.h"
#include "record/half.h"
#include "record/recorder_setup.h"
#include "record/step_filler.h"

namespace tide {

using record::Layout;
using record::RecordingFile;
using record::StepBlock;

namespace {

constexpr std::size_t kPrefillJobs = 2;

}  // namespace

/// The queue between the decoder's thread and the writer's. A job is a block of steps or some prefill rows.
struct Recorder::Impl {
  struct Job {
    std::unique_ptr<StepBlock> block;
    std::size_t layer = 0;
    std::int64_t first_query = 0, n_queries = 0;
    std::vector<std::uint16_t> prefill;  ///< [n_queries, n_heads, prompt_len]
  };

  RecorderOptions options;
  Layout layout;
  std::vector<int> index_of_layer;  ///< [n_layers]; -1: not recorded
  std::vector<std::int64_t> queries_seen;
  RecordingFile file;

  // The decoder's side.
  std::unique_ptr<StepBlock> current;
  std::int64_t steps = 0;
  std::size_t layers_seen = 0;
  std::uint64_t sets_step_bytes = 0, sets_step_bytes_max = 0;
  TierCounts tier_before;  ///< when the last step had ended
  bool finished = false;

  // Shared.
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::deque<Job> queue;
  std::vector<std::unique_ptr<StepBlock>> spare;
  std::size_t blocks_made = 0, max_blocks = 0;
  std::int64_t committed = 0;
  std::uint64_t file_bytes = 0;
  bool busy = false, stop = false;
  std::exception_ptr failure;

  std::thread writer;

  Impl(RecorderOptions recorder_options, const RecordingOrigin& origin, std::int64_t max_steps)
      : options(std::move(recorder_options)),
        layout(record::make_layout(options, origin.config, std::ssize(origin.prompt_ids), max_steps)),
        index_of_layer(static_cast<std::size_t>(layout.n_layers), -1),
        queries_seen(layout.layers.size(), 0),
        file(options.path, layout, record::make_facts(origin)) {
    for (std::size_t i = 0; i < layout.layers.size(); ++i) {
      index_of_layer[static_cast<std::size_t>(layout.layers[i])] = static_cast<int>(i);
    }
    const auto chunk_steps = static_cast<std::size_t>(layout.chunk_steps);
    max_blocks = 1 + std::max<std::size_t>(1, (options.queue_steps + chunk_steps - 1) / chunk_steps);
    file_bytes = file.bytes();
    writer = std::thread([this] { write_jobs(); });
  }

  void close_queue() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    if (writer.joinable()) writer.join();
  }

  void rethrow_failure() const {
    if (failure) std::rethrow_exception(failure);
  }

  void write_jobs();
  void write_job(Job& job);
  void keep_failure(const std::string& reason);
  void submit(Job job);
  void submit_current();
  std::unique_ptr<StepBlock> take_block();
  StepBlock& open_slot();
  void fill_tier(const TierCounts& now, std::size_t slot);
  std::uint64_t bytes_after(std::int64_t more_steps) const;
};

void Recorder::Impl::write_job(Job& job) {
  if (job.block != nullptr) {
    file.append(*job.block);
  } else {
    file.write_prefill(job.layer, job.first_query, job.n_queries, job.prefill.data());
  }
}

void Recorder::Impl::keep_failure(const std::string& reason) {
  std::error_code error;
  const auto size = std::filesystem::file_size(part_path(options.path), error);
  const std::string written =
      error ? ""
            : fmt::format(" ({} written, {} steps kept)", human_bytes(static_cast<double>(size)), committed);
  failure = std::make_exception_ptr(WorkError(reason + written));
}

void Recorder::Impl::write_jobs() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return !queue.empty() || stop; });
    if (queue.empty()) return;
    Job job = std::move(queue.front());
    queue.pop_front();
    busy = true;
    lock.unlock();
    std::string reason;
    try {
      write_job(job);
    } catch (const std::exception& error) {
      reason = error.what();
    }
    lock.lock();
    busy = false;
    if (!reason.empty()) {
      file.freeze();
      keep_failure(reason);
      changed.notify_all();
      return;
    }
    file_bytes = file.bytes();
    if (job.block != nullptr) {
      committed = job.block->first_step + job.block->n_steps;
      spare.push_back(std::move(job.block));
    }
    changed.notify_all();
  }
}

void Recorder::Impl::submit(Job job) {
  std::unique_lock lock(mutex);
  const bool is_prefill = job.block == nullptr;
  changed.wait(lock, [&] { return failure || !is_prefill || queue.size() < kPrefillJobs; });
  rethrow_failure();
  queue.push_back(std::move(job));
  changed.notify_all();
}

void Recorder::Impl::submit_current() {
  Job job;
  job.block = std::move(current);
  submit(std::move(job));
}

std::unique_ptr<StepBlock> Recorder::Impl::take_block() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return failure || !spare.empty() || blocks_made < max_blocks; });
  rethrow_failure();
  if (spare.empty()) {
    ++blocks_made;
    lock.unlock();
    return std::make_unique<StepBlock>(layout);
  }
  auto block = std::move(spare.back());
  spare.pop_back();
  return block;
}

/// The block that the step in flight goes to; its slot is block.n_steps.
StepBlock& Recorder::Impl::open_slot() {
  TIDE_ASSERT(!finished);
  if (current != nullptr && current->n_steps == layout.chunk_steps) submit_current();
  if (current == nullptr) {
    current = take_block();
    current->restart(steps);
  }
  return *current;
}

/// What the tier was asked in this step, into step `slot` of the block.
void Recorder::Impl::fill_tier(const TierCounts& now, std::size_t slot) {
  TierSteps& to = current->tier;
  const TierCounts& before = tier_before;
  to.bytes[slot] = now.bytes - before.bytes;
  to.wanted[slot] = now.wanted - before.wanted;
  to.held[slot] = now.held - before.held;
  to.predicted[slot] = now.predicted - before.predicted;
  to.missed[slot] = now.missed - before.missed;
  to.fetched[slot] = now.fetched - before.fetched;
  to.stall_ms[slot] = static_cast<float>(now.stall_ms - before.stall_ms);
  tier_before = now;
}

/// Upper bound of the file's size with everything taken so far and `more_steps` more.
std::uint64_t Recorder::Impl::bytes_after(std::int64_t more_steps) const {
  const std::int64_t pending = steps - committed + more_steps;
  const std::int64_t blocks = (pending + layout.chunk_steps - 1) / layout.chunk_steps;
  const auto block_steps = static_cast<std::uint64_t>(blocks * layout.chunk_steps);
  return file_bytes + layout.growth_bytes(committed, committed + pending) + block_steps * sets_step_bytes_max;
}

Recorder::Recorder(RecorderOptions options, RecordingOrigin origin, std::int64_t max_steps) {
  record::validate(options, origin.config, std::ssize(origin.prompt_ids), max_steps);
  const std::uint64_t least = estimate_bytes(options, origin.config, std::ssize(origin.prompt_ids), 1);
  if (options.max_bytes > 0 && least > options.max_bytes) {
    fail_input("record {}: one step takes {}, more than the cap of {}", options.path.string(),
               human_bytes(static_cast<double>(least)), human_bytes(static_cast<double>(options.max_bytes)));
  }
  impl_ = std::make_unique<Impl>(std::move(options), origin, max_steps);
}

Recorder::~Recorder() {
  if (impl_ == nullptr) return;
  try {
    if (!impl_->finished && impl_->current != nullptr && impl_->current->n_steps > 0) impl_->submit_current();
  } catch (const std::exception&) {
    // Told already by the call that failed; here the thread only has to end.
  }
  impl_->close_queue();
}

ObserverWants Recorder::wants() const {
  ObserverWants wants;
  wants.prob = impl_->options.maps != MapsMode::none;
  wants.shadow_prob = impl_->options.shadow;
  wants.layers = impl_->options.layers;
  wants.prefill_rows = impl_->options.prefill_rows;
  return wants;
}

void Recorder::on_prefill(const PrefillEvent& event) {
  const int index = impl_->index_of_layer[static_cast<std::size_t>(event.layer)];
  const std::int64_t queries = std::ssize(event.query_positions);
  if (index < 0 || queries == 0) return;
  const Layout& layout = impl_->layout;
  Impl::Job job;
  job.layer = static_cast<std::size_t>(index);
  job.first_query = impl_->queries_seen[job.layer];
  job.n_queries = queries;
  TIDE_ASSERT(job.first_query + queries <= std::ssize(layout.prefill_rows));
  TIDE_ASSERT(std::equal(event.query_positions.begin(), event.query_positions.end(),
                         layout.prefill_rows.begin() + job.first_query));
  impl_->queries_seen[job.layer] += queries;
  job.prefill.resize(static_cast<std::size_t>(queries * layout.n_heads * layout.prompt_len));
  for (std::int64_t head = 0; head < layout.n_heads; ++head) {
    for (std::int64_t q = 0; q < queries; ++q) {
      record::to_half(event.prob + (head * queries + q) * event.stride, layout.prompt_len,
                      job.prefill.data() + (q * layout.n_heads + head) * layout.prompt_len);
    }
  }
  impl_->submit(std::move(job));
}

void Recorder::on_layer(const LayerEvent& event) {
  const int index = impl_->index_of_layer[static_cast<std::size_t>(event.layer)];
  if (index < 0) return;
  StepBlock& block = impl_->open_slot();
  TIDE_ASSERT(event.step == impl_->steps);
  record::fill_layer(impl_->layout, event, block.n_steps, block.layers[static_cast<std::size_t>(index)]);
  const auto& sets =
      block.layers[static_cast<std::size_t>(index)].sets[static_cast<std::size_t>(block.n_steps)];
  impl_->sets_step_bytes += record::sets_bytes(sets);
  ++impl_->layers_seen;
}

void Recorder::on_step(const StepEvent& event) {
  StepBlock& block = impl_->open_slot();
  TIDE_ASSERT(event.step == impl_->steps && impl_->steps < impl_->layout.max_steps);
  TIDE_ASSERT(impl_->layers_seen == impl_->layout.layers.size());
  const auto slot = static_cast<std::size_t>(block.n_steps);
  block.kv_len[slot] = event.kv_len;
  block.latency_ms[slot] = event.latency_ms;
  block.logits_hash[slot] = XXH3_64bits(event.logits.data(), event.logits.size_bytes());
  block.fed_id[slot] = event.fed_id;
  if (impl_->layout.tier) {
    TIDE_ASSERT(event.tier != nullptr);
    impl_->fill_tier(*event.tier, slot);
  }
  block.generated_id[slot] = -1;
  block.generated_token[slot].clear();
  ++block.n_steps;
  ++impl_->steps;
  impl_->layers_seen = 0;
  impl_->sets_step_bytes_max = std::max(impl_->sets_step_bytes_max, impl_->sets_step_bytes);
  impl_->sets_step_bytes = 0;
}

void Recorder::on_token(std::int32_t generated_id, std::string token_bytes) {
  TIDE_ASSERT(impl_->current != nullptr && impl_->current->n_steps > 0);
  StepBlock& block = *impl_->current;
  const auto slot = static_cast<std::size_t>(block.n_steps - 1);
  block.generated_id[slot] = generated_id;
  block.generated_token[slot] = std::move(token_bytes);
  if (block.n_steps == impl_->layout.chunk_steps) impl_->submit_current();
}

bool Recorder::at_cap() const {
  if (impl_->options.max_bytes == 0) return false;
  std::unique_lock lock(impl_->mutex);
  if (impl_->bytes_after(1) <= impl_->options.max_bytes) return false;
  // The bound takes what is queued as uncompressed: find out what it came to.
  impl_->changed.wait(lock, [&] { return impl_->failure || (impl_->queue.empty() && !impl_->busy); });
  return impl_->failure != nullptr || impl_->bytes_after(1) > impl_->options.max_bytes;
}

void Recorder::finish() {
  TIDE_ASSERT(!impl_->finished);
  if (impl_->current != nullptr && impl_->current->n_steps > 0) impl_->submit_current();
  impl_->finished = true;
  impl_->close_queue();
  impl_->rethrow_failure();
  try {
    impl_->file.finish();
  } catch (const WorkError& error) {
    impl_->file.freeze();
    impl_->keep_failure(error.what());
    impl_->rethrow_failure();
  }
}

}  // namespace tide
