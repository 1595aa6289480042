#include "analysis/paired.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "analysis/statistics.h"
#include "base/error.h"
#include "base/file.h"

namespace tide::analysis {
namespace {

/// Discordant and concordant counts of the samples that both judged.
void count_outcomes(const Configuration& policy, const Configuration& reference, Comparison& made) {
  for (const auto& [sample, right] : policy.outcome) {
    const auto found = reference.outcome.find(sample);
    if (found == reference.outcome.end()) continue;
    ++made.n;
    ++(right ? (found->second ? made.both : made.only_policy)
             : (found->second ? made.only_reference : made.neither));
  }
  made.p = made.n > 0 ? mcnemar_exact(made.only_policy, made.only_reference) : ResultRow::kNone;
}

void compare_scores(const Configuration& policy, const Configuration& reference, Comparison& made) {
  std::vector<double> difference;
  for (const auto& [sample, score] : policy.score_of) {
    const auto found = reference.score_of.find(sample);
    if (found != reference.score_of.end()) difference.push_back(score - found->second);
  }
  made.score_difference = {static_cast<std::int64_t>(difference.size()), ResultRow::kNone, ResultRow::kNone,
                           ResultRow::kNone};
  if (difference.empty()) return;
  const Interval interval = bootstrap_interval(difference);
  made.score_difference.mean =
      std::accumulate(difference.begin(), difference.end(), 0.0) / static_cast<double>(difference.size());
  made.score_difference.low = interval.low;
  made.score_difference.high = interval.high;
}

Comparison compare(const Configuration& policy, const Configuration& reference, const char* against) {
  Comparison made;
  made.task = policy.task;
  made.length = policy.length;
  made.policy = policy.policy;
  made.name = policy.name();
  made.against = against;
  made.reference = reference.policy;
  count_outcomes(policy, reference, made);
  compare_scores(policy, reference, made);
  return made;
}

/// Adjusts the tests of one task, length and reference together.
void adjust(std::vector<Comparison>& comparisons) {
  std::map<std::tuple<std::string, std::int64_t, std::string>, std::vector<std::size_t>> families;
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    const Comparison& one = comparisons[i];
    if (one.n > 0) families[{one.task, one.length, one.against}].push_back(i);
  }
  for (const auto& [key, members] : families) {
    std::vector<double> p_values;
    for (const std::size_t i : members) p_values.push_back(comparisons[i].p);
    const auto adjusted = holm_adjusted(p_values);
    for (std::size_t k = 0; k < members.size(); ++k) comparisons[members[k]].p_holm = adjusted[k];
  }
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string number(double value) { return std::isnan(value) ? "" : fmt::format("{:.6g}", value); }

std::string estimate(const Estimate& e) {
  return fmt::format("{},{},{}", number(e.n > 0 ? e.mean : ResultRow::kNone),
                     number(e.n > 0 ? e.low : ResultRow::kNone), number(e.n > 0 ? e.high : ResultRow::kNone));
}

}  // namespace

std::vector<Comparison> compare_paired(const std::vector<Configuration>& configurations) {
  using Cell = std::pair<std::string, std::int64_t>;
  std::map<Cell, const Configuration*> full;
  std::map<std::pair<Cell, std::string>, const Configuration*> oracle;
  for (const Configuration& c : configurations) {
    const Cell cell{c.task, c.length};
    if (c.is_full) full[cell] = &c;
    if (!c.policy.starts_with("oracle:")) continue;
    auto& known = oracle[{cell, c.budget}];
    if (known == nullptr || c.policy < known->policy) known = &c;
  }
  std::vector<Comparison> comparisons;
  for (const Configuration& c : configurations) {
    const Cell cell{c.task, c.length};
    if (const auto found = full.find(cell); found != full.end() && !c.is_full)
      comparisons.push_back(compare(c, *found->second, "full"));
    const auto found = oracle.find({cell, c.budget});
    if (found != oracle.end() && !c.is_full && found->second != &c)
      comparisons.push_back(compare(c, *found->second, "oracle"));
  }
  adjust(comparisons);
  return comparisons;
}

std::vector<double> holm_adjusted(const std::vector<double>& p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double highest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const double scaled = p_values[order[rank]] * static_cast<double>(order.size() - rank);
    highest = std::max(highest, std::min(1.0, scaled));
    adjusted[order[rank]] = highest;
  }
  return adjusted;
}

void write_significance(const std::filesystem::path& csv, const std::vector<Comparison>& comparisons) {
  std::string text =
      "task,length,policy,against,reference,n,both,only_policy,only_reference,neither,p_mcnemar_exact,p_holm,"
      "n_scores,score_difference,score_difference_low,score_difference_high\n";
  for (const Comparison& c : comparisons) {
    text +=
        fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", quoted(c.task), c.length, quoted(c.policy),
                    c.against, quoted(c.reference), c.n, c.both, c.only_policy, c.only_reference, c.neither,
                    number(c.p), number(c.p_holm), c.score_difference.n, estimate(c.score_difference));
  }
  write_text_atomically(csv, text);
}

void write_table(const std::filesystem::path& csv, const std::vector<Configuration>& configurations) {
  std::string text =
      "task,length,prompt_tokens,policy,budget,n,failed,judged,correct,accuracy,accuracy_low,accuracy_high,"
      "score,score_low,score_high,score_to_full,answer_logprob,answer_logprob_low,answer_logprob_high,"
      "perplexity,perplexity_low,perplexity_high,kl,kl_low,kl_high,agree,agree_low,agree_high,"
      "rows_read,rows_read_low,rows_read_high,reuse_rate,reuse_rate_low,reuse_rate_high\n";
  for (const Configuration& c : configurations) {
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", quoted(c.task), c.length,
                        number(c.prompt_tokens.mean), quoted(c.policy), c.budget, c.n, c.failed, c.n_judged,
                        c.n_correct, estimate(c.accuracy), estimate(c.score), number(c.score_to_full),
                        estimate(c.answer_logprob), estimate(c.perplexity), estimate(c.kl), estimate(c.agree),
                        estimate(c.rows_read), estimate(c.reuse_rate));
  }
  write_text_atomically(csv, text);
}

}  // namespace tide::analysis
