#include "search/candidate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace tide {

std::string Candidate::layers() const { return fmt::format("{}", fmt::join(select, "+")); }

std::string Candidate::text() const {
  std::string text = layers();
  for (const auto& [name, value] : settings) text += fmt::format(" {}={}", name, value);
  return text;
}

std::vector<Candidate> CandidateSpace::all(int n_select, const MethodSettings& settings) const {
  std::vector<Candidate> found;
  std::vector<int> chosen;
  const auto descend = [&](const auto& self, int from) -> void {
    if (static_cast<int>(chosen.size()) == n_select) {
      found.push_back({chosen, settings});
      return;
    }
    const bool first_and_fixed = chosen.empty() && fixed_first;
    for (int layer = from; layer < (first_and_fixed ? first + 1 : n_layers); ++layer) {
      chosen.push_back(layer);
      self(self, layer + 1);
      chosen.pop_back();
    }
  };
  if (n_select > 0) descend(descend, first);
  return found;
}

std::int64_t CandidateSpace::count(int n_select) const {
  const int places = n_layers - first - (fixed_first ? 1 : 0), wanted = n_select - (fixed_first ? 1 : 0);
  if (wanted < 0 || wanted > places) return 0;
  double ways = 1;
  for (int i = 0; i < wanted; ++i) ways = ways * (places - i) / (i + 1);
  return ways > 1e15 ? std::int64_t{1} << 50 : static_cast<std::int64_t>(ways + 0.5);
}

std::vector<Candidate> CandidateSpace::extended(const std::vector<Candidate>& from) const {
  std::set<Candidate> found;
  for (const Candidate& candidate : from) {
    for (int layer = first; layer < n_layers; ++layer) {
      Candidate longer = candidate;
      if (std::find(longer.select.begin(), longer.select.end(), layer) != longer.select.end()) continue;
      longer.select.insert(std::upper_bound(longer.select.begin(), longer.select.end(), layer), layer);
      if (!fixed_first || longer.select.front() == first) found.insert(std::move(longer));
    }
  }
  return {found.begin(), found.end()};
}

std::vector<Candidate> CandidateSpace::shortened(const std::vector<Candidate>& from) const {
  std::set<Candidate> found;
  for (const Candidate& candidate : from) {
    if (candidate.select.size() < 2) continue;
    for (const int gone : candidate.select) {
      if (fixed_first && gone == first) continue;
      Candidate shorter = candidate;
      std::erase(shorter.select, gone);
      found.insert(std::move(shorter));
    }
  }
  return {found.begin(), found.end()};
}

std::vector<Candidate> CandidateSpace::moved(const std::vector<Candidate>& from) const {
  std::set<Candidate> found;
  for (const Candidate& candidate : from) {
    for (const int gone : candidate.select) {
      Candidate shorter = candidate;
      std::erase(shorter.select, gone);
      for (Candidate& other : extended({shorter})) found.insert(std::move(other));
    }
  }
  for (const Candidate& candidate : from) found.erase(candidate);
  return {found.begin(), found.end()};
}

}  // namespace tide
