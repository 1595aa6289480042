#include "analysis/tables.h"

#include <fmt/format.h>

#include <iterator>
#include <string>

#include "analysis/findings.h"
#include "base/file.h"

namespace tide::analysis {
namespace {

/// A cell's mean and interval: ",0.5,0.4,0.6".
void append(std::string& text, const Eigen::MatrixXd& mean, const SampleMatrix& samples,
            const Bootstrap& bootstrap, Eigen::Index row, Eigen::Index column) {
  const Interval interval = samples.interval(bootstrap, row, column);
  fmt::format_to(std::back_inserter(text), ",{:.9g},{:.9g},{:.9g}", mean(row, column), interval.low,
                 interval.high);
}

/// A text field: quoted when it has to be.
std::string field(const std::string& value) {
  if (value.find_first_of(",\"\n\r") == std::string::npos) return value;
  std::string quoted = "\"";
  for (char c : value) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string overlap_csv(const Analysis& a, std::size_t k_index) {
  std::string text =
      "layer_i,layer_j,overlap_head,overlap_head_low,overlap_head_high,jaccard_head,overlap_group,jaccard_"
      "group,"
      "overlap_layer,jaccard_layer\n";
  const SampleMatrix& samples = a.overlap_head.overlap(k_index);
  const Eigen::MatrixXd head = samples.mean();
  const Eigen::MatrixXd others[] = {
      a.overlap_head.jaccard(k_index).mean(), a.overlap_group.overlap(k_index).mean(),
      a.overlap_group.jaccard(k_index).mean(), a.overlap_layer.overlap(k_index).mean(),
      a.overlap_layer.jaccard(k_index).mean()};
  for (Eigen::Index i = 0; i < head.rows(); ++i) {
    for (Eigen::Index j = 0; j < head.cols(); ++j) {
      fmt::format_to(std::back_inserter(text), "{},{}", i, j);
      append(text, head, samples, *a.bootstrap, i, j);
      for (const auto& other : others) fmt::format_to(std::back_inserter(text), ",{:.9g}", other(i, j));
      text += '\n';
    }
  }
  return text;
}

/// recall.csv or mass.csv; `of(k_index, mapped)` gives the matrices.
template <typename Of>
std::string pair_csv(const Analysis& a, const Of& of) {
  std::string text = "k,src,dst,same_head,same_head_low,same_head_high,mapped,mapped_low,mapped_high\n";
  for (std::size_t n = 0; n < a.options.k_list.size(); ++n) {
    const SampleMatrix &same = of(n, false), &mapped = of(n, true);
    const Eigen::MatrixXd same_mean = same.mean(), mapped_mean = mapped.mean();
    for (Eigen::Index src = 0; src < same_mean.rows(); ++src) {
      for (Eigen::Index dst = src + 1; dst < same_mean.cols(); ++dst) {
        fmt::format_to(std::back_inserter(text), "{},{},{}", a.options.k_list[n], src, dst);
        append(text, same_mean, same, *a.bootstrap, src, dst);
        append(text, mapped_mean, mapped, *a.bootstrap, src, dst);
        text += '\n';
      }
    }
  }
  return text;
}

std::string persistence_csv(const Analysis& a) {
  std::string text = "k,layer,distance,persistence,persistence_low,persistence_high\n";
  for (std::size_t n = 0; n < a.options.k_list.size(); ++n) {
    const SampleMatrix& samples = a.persistence.persistence(n);
    const Eigen::MatrixXd mean = samples.mean();
    for (Eigen::Index layer = 0; layer < mean.rows(); ++layer) {
      for (Eigen::Index d = 0; d < mean.cols(); ++d) {
        fmt::format_to(std::back_inserter(text), "{},{},{}", a.options.k_list[n], layer, d + 1);
        append(text, mean, samples, *a.bootstrap, layer, d);
        text += '\n';
      }
    }
  }
  return text;
}

std::string reselection_csv(const Analysis& a) {
  std::string text = "k,first,second,same_head,mapped\n";
  for (std::size_t n = 0; n < a.options.k_list.size(); ++n) {
    const Eigen::MatrixXd same = a.recall->recall(n, false).mean(), mapped = a.recall->recall(n, true).mean();
    for (int second = kFirstSelect + 1; second < a.model.n_layers; ++second) {
      fmt::format_to(std::back_inserter(text), "{},{},{},{:.9g},{:.9g}\n", a.options.k_list[n], kFirstSelect,
                     second, placement_recall(same, kFirstSelect, second),
                     placement_recall(mapped, kFirstSelect, second));
    }
    // without a second one
    fmt::format_to(std::back_inserter(text), "{},{},,{:.9g},{:.9g}\n", a.options.k_list[n], kFirstSelect,
                   placement_recall(same, kFirstSelect, -1), placement_recall(mapped, kFirstSelect, -1));
  }
  return text;
}

std::string union_csv(const Analysis& a) {
  std::string text =
      "k,layer,union_group,union_group_low,union_group_high,union_all,union_all_low,union_all_high\n";
  for (std::size_t n = 0; n < a.options.k_list.size(); ++n) {
    const SampleMatrix& samples = a.unions.size(n);
    const Eigen::MatrixXd mean = samples.mean();
    for (Eigen::Index layer = 0; layer < mean.rows(); ++layer) {
      fmt::format_to(std::back_inserter(text), "{},{}", a.options.k_list[n], layer);
      append(text, mean, samples, *a.bootstrap, layer, UnionMeter::kGroup);
      append(text, mean, samples, *a.bootstrap, layer, UnionMeter::kAll);
      text += '\n';
    }
  }
  return text;
}

std::string set_recall_csv(const Analysis& a) {
  std::string text = "policy,layer,role,k,recall,recall_low,recall_high,recall_at_set_size,mass,set_size\n";
  for (const auto& sets : a.sets) {
    const Bootstrap bootstrap(std::vector<double>(static_cast<std::size_t>(sets.n_samples()), 1.0),
                              a.options.seed);
    const Eigen::MatrixXd mean = sets.values().mean();
    for (int layer = 0; layer < a.model.n_layers; ++layer) {
      if (!sets.has_layer(layer)) continue;
      const auto& letters = sets.placement();
      const auto place = static_cast<std::size_t>(layer);
      const std::string role = place < letters.size() ? letters.substr(place, 1) : "";
      for (std::size_t n = 0; n < sets.k_list().size(); ++n) {
        fmt::format_to(std::back_inserter(text), "{},{},{},{}", field(sets.policy()), layer, role,
                       sets.k_list()[n]);
        append(text, mean, sets.values(), bootstrap, layer, static_cast<Eigen::Index>(n));
        fmt::format_to(std::back_inserter(text), ",{:.9g},{:.9g},{:.9g}\n",
                       mean(layer, sets.recall_at_own_size()), mean(layer, sets.mass()),
                       mean(layer, sets.size()));
      }
    }
  }
  return text;
}

std::string reuse_csv(const Analysis& a) {
  std::string text = "policy,layer,steps,reuse_rate\n";
  for (const SetReuse& count : a.reuse) {
    const std::int64_t steps = count.reused + count.anew;
    if (steps == 0) continue;
    fmt::format_to(std::back_inserter(text), "{},{},{},{:.9g}\n", field(count.policy), count.layer, steps,
                   static_cast<double>(count.reused) / static_cast<double>(steps));
  }
  return text;
}

std::string evidence_csv(const Analysis& a) {
  std::string text = "policy,layer,head,held,mass,mass_held\n";
  for (const EvidenceMeter& meter : a.evidence) {
    const Eigen::MatrixXd held = meter.held().mean(), mass = meter.mass().mean(),
                          mass_held = meter.mass_held().mean();
    for (Eigen::Index layer = 0; layer < held.rows(); ++layer) {
      for (Eigen::Index head = 0; head < held.cols(); ++head) {
        fmt::format_to(std::back_inserter(text), "{},{},{},{:.9g},{:.9g},{:.9g}\n", field(meter.policy()),
                       layer, head, held(layer, head), mass(layer, head), mass_held(layer, head));
      }
    }
  }
  return text;
}

std::string head_map_csv(const MadeMap& made) {
  std::string text = "src,dst,head,source_head,mass,same_head_mass\n";
  for (std::size_t src = 0; src < made.map.source_head.size(); ++src) {
    for (std::size_t dst = src + 1; dst < made.map.source_head.size(); ++dst) {
      for (std::size_t head = 0; head < made.map.source_head[src][dst].size(); ++head) {
        fmt::format_to(std::back_inserter(text), "{},{},{},{},{:.9g},{:.9g}\n", src, dst, head,
                       made.map.source_head[src][dst][head], made.map.mass[src][dst][head],
                       made.same_head_mass[src][dst][head]);
      }
    }
  }
  return text;
}

}  // namespace

void write_tables(const std::filesystem::path& folder, const Analysis& a) {
  for (std::size_t n = 0; n < a.options.k_list.size(); ++n) {
    write_text_atomically(folder / fmt::format("overlap_k{}.csv", a.options.k_list[n]), overlap_csv(a, n));
  }
  const auto recall = [&](std::size_t n, bool mapped) -> const SampleMatrix& {
    return a.recall->recall(n, mapped);
  };
  const auto mass = [&](std::size_t n, bool mapped) -> const SampleMatrix& {
    return a.recall->mass(n, mapped);
  };
  write_text_atomically(folder / "recall.csv", pair_csv(a, recall));
  write_text_atomically(folder / "mass.csv", pair_csv(a, mass));
  write_text_atomically(folder / "persistence.csv", persistence_csv(a));
  write_text_atomically(folder / "reselection.csv", reselection_csv(a));
  write_text_atomically(folder / "union.csv", union_csv(a));
  write_text_atomically(folder / "set_recall.csv", set_recall_csv(a));
  // What an earlier analysis left here under --force must not pass for this one's.
  std::filesystem::remove(folder / "reuse.csv");
  if (!a.reuse.empty()) write_text_atomically(folder / "reuse.csv", reuse_csv(a));
  std::filesystem::remove(folder / "evidence.csv");
  if (!a.evidence.empty()) write_text_atomically(folder / "evidence.csv", evidence_csv(a));
  std::filesystem::remove(folder / "headmap.csv");
  std::filesystem::remove(folder / "headmap.json");
  if (!a.made_map) return;
  write_text_atomically(folder / "headmap.csv", head_map_csv(*a.made_map));
  if (a.layers_without_maps.empty()) write_head_map(folder / "headmap.json", a.made_map->map);
}

}  // namespace tide::analysis
