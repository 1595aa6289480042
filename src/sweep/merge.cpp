#include "sweep/merge.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/folder_lock.h"
#include "base/text.h"
#include "sweep/csv.h"
#include "sweep/results.h"

namespace tide {

namespace {

namespace fs = std::filesystem;

/// Rows of one shard: key -> line as it was written.
using Lines = std::map<std::string, std::string>;

/// The lines of a file that have their end. Read, not mapped: a shard that continues may cut the file short
/// meanwhile.
std::vector<std::string> whole_lines(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) fail_input("open {}: {}", file.string(), std::strerror(errno));
  auto lines = split(std::string(std::istreambuf_iterator<char>(in), {}), '\n');
  lines.pop_back();
  return lines;
}

/// What two configurations differ in first, in words.
std::string difference(const std::string& theirs, const std::string& ours) {
  const auto a = split(theirs, '\n'), b = split(ours, '\n');
  const std::size_t n = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < n; ++i) {
    if (a[i] != b[i]) return fmt::format("it has '{}', expected '{}'", a[i], b[i]);
  }
  return "one is longer than the other";
}

void check_config(const fs::path& folder, const std::string& expected) {
  const auto config = folder / "config.toml";
  if (!fs::exists(config)) fail_input("{}: has no config.toml: not a shard of this sweep", folder.string());
  const std::string theirs = fingerprint(read_text(config)), ours = fingerprint(expected);
  if (theirs != ours)
    fail_input("{}: a shard of another sweep: {}", folder.string(), difference(theirs, ours));
}

/// Throws InputError: a row that is not `planned`, a row twice, other columns.
Lines read_rows(const fs::path& file, const std::set<std::string>& planned) {
  Lines rows;
  const auto lines = whole_lines(file);
  if (lines.empty()) return rows;
  if (lines.front() != csv_line(result_columns()))
    fail_input("{}, line 1: has other columns than this version writes", file.string());
  for (std::size_t i = 1; i < lines.size(); ++i) {
    auto fields = parse_csv_line(lines[i]);
    if (fields.size() != result_columns().size())
      fail_input("{}, line {}: has {} fields, expected {}", file.string(), i + 1, fields.size(),
                 result_columns().size());
    fields.resize(6);  // a row's key
    const std::string key = csv_line(fields);
    if (!planned.contains(key))
      fail_input("{}, line {}: a row of another shard or sweep: {}", file.string(), i + 1, key);
    if (!rows.emplace(key, lines[i]).second)
      fail_input("{}, line {}: row {} stands there twice", file.string(), i + 1, key);
  }
  return rows;
}

/// A shard's rows, checked; nothing when it has not begun.
Lines rows_of(const fs::path& out, const ShardedSweep& sweep, std::int64_t index) {
  const Shard shard{index, sweep.count()};
  const auto folder = shard_folder(out, shard);
  const bool has_rows = fs::exists(folder / "results.csv");
  if (has_rows || fs::exists(folder / "config.toml"))
    check_config(folder, shard_config(sweep.config_toml, shard));
  if (!has_rows) return {};
  const auto& keys = sweep.parts[static_cast<std::size_t>(index - 1)];
  return read_rows(folder / "results.csv", {keys.begin(), keys.end()});
}

bool is_complete(const fs::path& out, const ShardedSweep& sweep, std::int64_t index, std::size_t n_rows) {
  const bool has_latency = fs::exists(shard_folder(out, {index, sweep.count()}) / "latency.csv");
  return n_rows == sweep.parts[static_cast<std::size_t>(index - 1)].size() &&
         (has_latency || index > 1 || !sweep.latency);
}

/// The commit that a shard ran, of all commits the only one.
void check_commit(const fs::path& folder, const std::string& machine, std::string& commit) {
  const auto facts = nlohmann::json::parse(machine, nullptr, false);
  const auto found = facts.is_object() ? facts.find("commit") : facts.end();
  if (!facts.is_object() || found == facts.end() || !found->is_string())
    fail_input("{}: names no commit", (folder / "machine.json").string());
  const auto theirs = found->get<std::string>();
  if (!commit.empty() && theirs != commit)
    fail_input("{}: made by commit {} of the program, the shards before it by {}", folder.string(), theirs,
               commit);
  commit = theirs;
}

/// Layers' lines by row, the last ones written where a row stands twice.
void add_output_errors(const fs::path& file, std::map<std::string, std::map<long long, std::string>>& all) {
  const auto lines = whole_lines(file);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    auto fields = parse_csv_line(lines[i]);
    if (fields.size() != 8) fail_input("{}, line {}: has other columns", file.string(), i + 1);
    const auto layer = parse_integer(fields[6], "layer");
    fields.resize(6);
    all[csv_line(fields)][layer] = lines[i];
  }
}

void merge_output_errors(const fs::path& out, const ShardedSweep& sweep) {
  std::map<std::string, std::map<long long, std::string>> all;
  std::string text;
  for (std::int64_t index = 1; index <= sweep.count(); ++index) {
    const auto file = shard_folder(out, {index, sweep.count()}) / "output_error.csv";
    if (text.empty()) text = whole_lines(file).front() + "\n";
    add_output_errors(file, all);
  }
  for (const std::string& key : sweep.keys) {
    for (const auto& [layer, line] : all[key]) text += line + "\n";
  }
  write_text_atomically(out / "output_error.csv", text);
}

/// Throws InputError naming the shards whose rows are not all there.
void check_complete(const fs::path& out, const ShardedSweep& sweep, const std::vector<std::size_t>& found) {
  std::string missing;
  std::int64_t n_missing = 0;
  for (std::int64_t index = 1; index <= sweep.count(); ++index) {
    const auto i = static_cast<std::size_t>(index - 1);
    if (is_complete(out, sweep, index, found[i])) continue;
    constexpr std::int64_t kTold = 4;
    if (++n_missing <= kTold)
      missing += fmt::format("{}{} ({} of {} rows)", missing.empty() ? "" : ", ",
                             Shard{index, sweep.count()}.folder_name(), found[i], sweep.parts[i].size());
    if (n_missing == kTold + 1) missing += ", …";
  }
  if (n_missing > 0)
    fail_input("{}: {} of {} shards are not complete: {}", shards_folder(out).string(), n_missing,
               sweep.count(), missing);
}

}  // namespace

std::optional<std::int64_t> shard_count(const fs::path& out) {
  std::set<std::int64_t> counts;
  if (!fs::is_directory(shards_folder(out))) return std::nullopt;
  for (const auto& entry : fs::directory_iterator(shards_folder(out))) {
    const std::string name = entry.path().filename();
    const auto of = name.find("-of-");
    if (!entry.is_directory() || of == std::string::npos) continue;
    counts.insert(parse_integer(name.substr(of + 4), entry.path().string()));
  }
  if (counts.size() > 1)
    fail_input("{}: holds shards of a sweep cut into {} and of one cut into {}; take one of them away",
               shards_folder(out).string(), *counts.begin(), *counts.rbegin());
  return counts.empty() ? std::nullopt : std::optional(*counts.begin());
}

ShardState look_at_shard(const fs::path& out, const ShardedSweep& sweep, std::int64_t index) {
  const std::size_t n_rows = rows_of(out, sweep, index).size();
  return {static_cast<std::int64_t>(n_rows), std::ssize(sweep.parts[static_cast<std::size_t>(index - 1)]),
          is_complete(out, sweep, index, n_rows)};
}

std::vector<std::string> merge_shards(const fs::path& out, const ShardedSweep& sweep) {
  Lines all;
  std::vector<std::size_t> found;
  for (std::int64_t index = 1; index <= sweep.count(); ++index) {
    Lines rows = rows_of(out, sweep, index);
    found.push_back(rows.size());
    all.merge(rows);
  }
  check_complete(out, sweep, found);
  std::vector<std::string> machines;
  std::string commit;
  for (std::int64_t index = 1; index <= sweep.count(); ++index) {
    const auto folder = shard_folder(out, {index, sweep.count()});
    if (const auto holder = FolderLock::holder(folder))
      fail_input("{}: is still being run ({})", folder.string(), *holder);
    machines.push_back(read_text(folder / "machine.json"));
    check_commit(folder, machines.back(), commit);
  }
  std::string text = csv_line(result_columns()) + "\n";
  for (const std::string& key : sweep.keys) text += all.at(key) + "\n";
  if (sweep.output_error) merge_output_errors(out, sweep);
  if (sweep.latency)
    write_text_atomically(out / "latency.csv",
                          read_text(shard_folder(out, {1, sweep.count()}) / "latency.csv"));
  write_text_atomically(out / "results.csv", text);
  return machines;
}

}  // namespace tide
