// A row's two answers share a sequence while they agree: what each measures is what it measures alone.

#include "sweep/row_work.h"

#include <gmock/gmock.h>

#include <array>
#include <deque>

#include "base/error.h"
#include "tests/sweep/sweep_helpers.h"

namespace tide::testing {
namespace {

constexpr std::int64_t kTail = 7, kNewTokens = 12;

/// A task whose answer is told by the test.
class ToldTask final : public Task {
 public:
  const std::string& name() const override { return name_; }
  bool has_depth() const override { return false; }
  Sample sample(const SampleSpec&) const override { fail_work("not called"); }
  Score score(const Sample&, std::string_view) const override { return {true, 1.0}; }

 private:
  std::string name_ = "told";
};

class RowWork : public ::testing::Test {
 protected:
  RowWork() {
    for (int i = 0; i < 200; ++i) ids.push_back(1 + (i * 37) % 200);
    prompt = decoder.prefill({ids.data(), ids.size() - kTail});
  }
  /// Logits while the tail and `answer` are fed: the (kTail + t)-th predict answer[t], the last what follows.
  Decoded alone(const std::vector<std::int32_t>& answer) {
    std::vector<std::int32_t> fed(ids.end() - kTail, ids.end());
    fed.insert(fed.end(), answer.begin(), answer.end());
    return decode(decoder, prompt, policy, std::ssize(fed) + 1, nullptr, fed, seed());
  }
  /// Rows read a KV head, layer and step while the tail and the policy's own answer are decoded.
  double rows_alone(const std::vector<std::int32_t>& own) {
    const auto n_steps = kTail + std::ssize(own);
    const auto sequence = decoder.fork(prompt, policy, n_steps, seed());
    const std::array<Sequence*, 1> rows = {sequence.get()};
    std::vector<std::int32_t> fed(ids.end() - kTail - 1, ids.end());
    fed.insert(fed.end(), own.begin(), own.end() - 1);
    for (const std::int32_t id : fed) decoder.step(rows, std::array{id});
    const ModelConfig& config = model->config();
    return static_cast<double>(sequence->rows_read()) /
           static_cast<double>(n_steps * config.n_layers * config.n_kv_heads);
  }
  /// The policy's own answer.
  std::vector<std::int32_t> greedy(std::int64_t n) {
    std::vector<std::int32_t> answer;
    while (std::ssize(answer) < n) answer.push_back(argmax(alone(answer).logits.back()));
    return answer;
  }
  std::uint64_t seed() const { return told({}).random_seed(); }
  Sample told(const std::vector<std::int32_t>& answer) const {
    Sample sample;
    sample.task = "told";
    sample.prompt_ids = ids;
    sample.answer_ids = answer;
    return sample;
  }
  /// The row of a sample with this reference answer, and how many jobs it took.
  std::pair<SweepRow, int> row_of(const std::vector<std::int32_t>& reference) {
    auto work = std::make_shared<SampleWork>();
    work->task = &task;
    work->sample = told(reference);
    work->prompts = Prompts(decoder, {ids.data(), ids.size() - kTail}, {&policy, 1});
    work->tail.assign(ids.end() - kTail, ids.end());
    work->reference = FidelityReference(1);
    work->new_tokens = kNewTokens;
    work->config = &model->config();
    work->tokenizer = &model->tokenizer();
    std::deque<DecodeJob> jobs;
    std::vector<SweepRow> rows;
    int n_jobs = 1;
    jobs.push_back(reference_job(work, policy_of("full")));
    jobs.push_back(row_job(work, policy,
                           {.finished = [&](const SweepRow& row) { rows.push_back(row); },
                            .more =
                                [&](DecodeJob job) {
                                  ++n_jobs;
                                  jobs.push_front(std::move(job));
                                }}));
    const auto source = [&]() -> std::optional<DecodeJob> {
      if (jobs.empty()) return std::nullopt;
      DecodeJob job = std::move(jobs.front());
      jobs.pop_front();
      return job;
    };
    run_batch(decoder, 8, source, [] {});
    EXPECT_EQ(rows.size(), 1u);
    return {rows.at(0), n_jobs};
  }
  /// What the row must say: its answer is `own`, its measures those of `reference`.
  void check(const SweepRow& row, const std::vector<std::int32_t>& own,
             const std::vector<std::int32_t>& reference) {
    EXPECT_EQ(row.status, "ok");
    EXPECT_EQ(row.tokens, static_cast<double>(own.size()));
    EXPECT_EQ(row.output, model->tokenizer().decode(own));
    const auto logits = alone(reference).logits;
    double logprob = 0;
    std::vector<float> log_prob;
    for (std::size_t t = 0; t < reference.size(); ++t) {
      log_softmax(logits[kTail + t], log_prob);
      logprob += log_prob[static_cast<std::size_t>(reference[t])];
    }
    EXPECT_NEAR(row.answer_logprob, logprob / static_cast<double>(reference.size()), 1e-6);
    EXPECT_GT(row.kl, 0);
    EXPECT_NEAR(row.rows_read, rows_alone(own), 1e-9) << "of the answer's own steps, not of the reference's";
  }

  std::vector<std::int32_t> ids;
  ToldTask task;
  std::shared_ptr<const Model> model = tiny_model(DType::f32);
  Decoder decoder{model, {.kv_dtype = DType::f32, .n_threads = 2}};
  PolicyPtr policy = policy_of("tidal:budget=40,select=2");  // layers 0 to 2 read more from step to step
  std::shared_ptr<const Prompt> prompt;
};

TEST_F(RowWork, AnAnswerThatIsTheReferenceTakesOneSequence) {
  const auto own = greedy(kNewTokens);
  const std::vector<std::int32_t> reference(own.begin(), own.begin() + 5);
  const auto [row, n_jobs] = row_of(reference);
  EXPECT_EQ(n_jobs, 1);
  check(row, own, reference);
}

TEST_F(RowWork, AnAnswerThatLeavesTheReferenceGoesOnInItsOwn) {
  const auto own = greedy(kNewTokens);
  for (const std::size_t agreed : {0, 1, 3}) {
    std::vector<std::int32_t> reference(own.begin(), own.begin() + 6);
    reference[agreed] = (reference[agreed] + 11) % 200 + 1;
    const auto [row, n_jobs] = row_of(reference);
    EXPECT_EQ(n_jobs, 2);
    check(row, own, reference);
  }
}

TEST_F(RowWork, AnAnswerThatLeavesAtTheLastTokenNeedsNoSecondSequence) {
  const auto own = greedy(kNewTokens);
  std::vector<std::int32_t> reference(own.begin(), own.begin() + 4);
  reference.back() = (reference.back() + 11) % 200 + 1;
  const auto [row, n_jobs] = row_of(reference);
  EXPECT_EQ(n_jobs, 1);
  check(row, own, reference);
}

TEST_F(RowWork, AReferenceLongerThanTheAnswerIsReadToItsEnd) {
  const auto reference = greedy(kNewTokens + 9);
  const auto [row, n_jobs] = row_of(reference);
  EXPECT_EQ(n_jobs, 1);
  check(row, {reference.begin(), reference.begin() + kNewTokens}, reference);
}

}  // namespace
}  // namespace tide::testing
