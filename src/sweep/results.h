#pragma once
// results.csv (contracts.md section 7): rows appended durably, read back to resume.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tide {

/// What makes a row: no two rows of a file share it.
struct RowKey {
  std::string task;
  std::int64_t length = 0;
  std::optional<double> depth;
  std::int64_t sample = 0;
  std::uint64_t seed = 0;
  std::string policy;  ///< canonical spec

  std::string text() const;
};

/// One policy's answer to one sample. Numbers that were not measured are NaN and leave their field empty.
struct SweepRow {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  RowKey key;
  std::string placement, sharing, map, budget;
  std::string first_token = "policy";  ///< what decodes the first token: the policy itself
  std::optional<bool> correct;
  double score = kNone;
  double answer_logprob = kNone;       ///< mean log-probability of the reference tokens, teacher-forced, nats
  double kl = kNone;                   ///< mean KL(full || policy) over the same tokens, nats
  double agree = kNone;                ///< share of those tokens where both have the same most likely token
  double tokens = kNone;               ///< decoded freely, the end token included
  double rows_read = kNone;            ///< distinct K/V rows per KV head, mean over layers and free steps
  double bytes_read = kNone;           ///< K, V and metadata of all layers, mean over free steps
  double prefill_ms = kNone;           ///< of the sample, shared by rows with the same prefill rule
  double decode_ms_per_token = kNone;  ///< wall time of a batch's step, mean over the free steps
  double batch = kNone;                ///< rows in those steps, mean
  std::string status = "ok";           ///< or why the row failed
  std::string output;
  double prompt_tokens = kNone;   ///< those decoded under the policy included
  double scored_tokens = kNone;   ///< of the reference, teacher-forced
  std::vector<double> block_nll;  ///< mean negative log-probability of each 64 scored tokens, nats, when > 64
  double reuse_rate = kNone;      ///< share of sets out of the method's cache, over layers and free steps

  /// Mean relative error of the attention output, by layer, over the teacher-forced steps; empty unless
  /// measured. A file of its own: sweep/output_error.h.
  std::vector<double> output_error;
};

/// The columns, in order.
const std::vector<std::string>& result_columns();

/// A row's line without its end: the first `n_columns` of its fields.
std::string format_row(const SweepRow& row, std::size_t n_columns = result_columns().size());

/// The file being written. An existing one is continued: a last line that a kill cut short is removed. One
/// that an earlier version began, when there were fewer columns, keeps to those.
class ResultsFile {
 public:
  /// Throws InputError: other columns, a line that is no row, another process that has the file open
  /// for writing. WorkError: system calls.
  explicit ResultsFile(const std::filesystem::path& path);
  ~ResultsFile();
  ResultsFile(const ResultsFile&) = delete;
  ResultsFile& operator=(const ResultsFile&) = delete;

  bool has(const RowKey& key) const { return keys_.contains(key.text()); }
  std::size_t size() const { return keys_.size(); }
  /// Writes one line. Throws WorkError (a full disk) naming the file.
  void append(const SweepRow& row);
  /// Makes the appended rows durable; nothing to do is free.
  void sync();

 private:
  void continue_existing();
  void write_line(const std::string& line);

  std::filesystem::path path_;
  int file_ = -1;
  bool dirty_ = false;
  std::size_t n_columns_;  // of the file: the first so many
  std::set<std::string> keys_;
};

}  // namespace tide
