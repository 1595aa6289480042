#include "sweep/results.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "sweep/csv.h"

namespace tide {

namespace {

/// Numbers with + between them.
std::string joined(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : "+") + csv_number(value);
  return text;
}

/// How many of our columns a header has: all, or those that version 1 began with; 0: others.
std::size_t known_columns(std::string_view header) {
  std::vector<std::string> columns = result_columns();
  for (; !columns.empty(); columns.pop_back()) {
    if (header == csv_line(columns)) return columns.size();
    if (columns.back() == "block_nll") return 0;
  }
  return 0;
}

std::string depth_text(const std::optional<double>& depth) { return depth ? csv_number(*depth) : ""; }

/// The key of a line's fields: the columns of RowKey as they are written.
std::string key_text(const std::string& task, const std::string& length, const std::string& depth,
                     const std::string& sample, const std::string& seed, const std::string& policy) {
  return csv_line({task, length, depth, sample, seed, policy});
}

}  // namespace

std::string RowKey::text() const {
  return key_text(task, std::to_string(length), depth_text(depth), std::to_string(sample),
                  std::to_string(seed), policy);
}

const std::vector<std::string>& result_columns() {
  static const std::vector<std::string> kColumns = {
      "task",    "length", "depth",  "sample",        "seed",          "policy",     "placement",
      "sharing", "map",    "budget", "first_token",   "correct",       "score",      "answer_logprob",
      "kl",      "agree",  "tokens", "rows_read",     "bytes_read",    "prefill_ms", "decode_ms_per_token",
      "batch",   "status", "output", "prompt_tokens", "scored_tokens", "block_nll",  "reuse_rate"};
  return kColumns;
}

std::string format_row(const SweepRow& row, std::size_t n_columns) {
  const std::string correct = row.correct ? (*row.correct ? "1" : "0") : "";
  std::vector<std::string> fields = {row.key.task,
                                     std::to_string(row.key.length),
                                     depth_text(row.key.depth),
                                     std::to_string(row.key.sample),
                                     std::to_string(row.key.seed),
                                     row.key.policy,
                                     row.placement,
                                     row.sharing,
                                     row.map,
                                     row.budget,
                                     row.first_token,
                                     correct,
                                     csv_number(row.score),
                                     csv_number(row.answer_logprob),
                                     csv_number(row.kl),
                                     csv_number(row.agree),
                                     csv_number(row.tokens),
                                     csv_number(row.rows_read),
                                     csv_number(row.bytes_read),
                                     csv_number(row.prefill_ms),
                                     csv_number(row.decode_ms_per_token),
                                     csv_number(row.batch),
                                     row.status,
                                     to_valid_utf8(row.output),
                                     csv_number(row.prompt_tokens),
                                     csv_number(row.scored_tokens),
                                     joined(row.block_nll),
                                     csv_number(row.reuse_rate)};
  fields.resize(n_columns);
  return csv_line(fields);
}

ResultsFile::ResultsFile(const std::filesystem::path& path)
    : path_(path), n_columns_(result_columns().size()) {
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) fail_work("open {}: {}", path.string(), std::strerror(errno));
  try {
    // A file system without locks is told of by who opens the folder.
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      fail_input("{}: another run is writing it", path.string());
    continue_existing();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

ResultsFile::~ResultsFile() {
  if (dirty_) ::fsync(file_);
  ::close(file_);
}

void ResultsFile::continue_existing() {
  const std::string text = read_text(path_);
  const auto last_end = text.rfind('\n');
  const std::size_t sound = last_end == std::string::npos ? 0 : last_end + 1;
  if (sound < text.size() && ::ftruncate(file_, static_cast<off_t>(sound)) != 0) {
    fail_work("truncate {}: {}", path_.string(), std::strerror(errno));
  }
  if (sound == 0) {
    write_line(csv_line(result_columns()));
    sync();
    return;
  }
  auto lines = split(std::string_view(text).substr(0, last_end), '\n');
  n_columns_ = known_columns(lines.front());
  if (n_columns_ == 0) fail_input("{}, line 1: has other columns than this version writes", path_.string());
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto fields = parse_csv_line(lines[i]);
    if (fields.size() != n_columns_) {
      fail_input("{}, line {}: has {} fields, expected {}", path_.string(), i + 1, fields.size(), n_columns_);
    }
    keys_.insert(key_text(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]));
  }
}

void ResultsFile::write_line(const std::string& line) {
  const std::string whole = line + "\n";
  std::string_view left = whole;
  while (!left.empty()) {
    const ssize_t written = ::write(file_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_work("write {}: {}", path_.string(), std::strerror(errno));
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  dirty_ = true;
}

void ResultsFile::append(const SweepRow& row) {
  write_line(format_row(row, n_columns_));
  keys_.insert(row.key.text());
}

void ResultsFile::sync() {
  if (!dirty_) return;
  if (::fsync(file_) != 0) fail_work("fsync {}: {}", path_.string(), std::strerror(errno));
  dirty_ = false;
}

}  // namespace tide
