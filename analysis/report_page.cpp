#include "analysis/report_page.h"

#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"

namespace tide::analysis {
namespace {

constexpr std::string_view kDataBegin = "<script type=\"application/json\" id=\"data\">";
constexpr std::string_view kScriptEnd = "</script>";

/// JSON that may stand inside a script element: nothing in it ends the element or opens a comment.
std::string script_safe_json(const nlohmann::json& data) {
  const std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<') {
      out += "\\u003c";  // inside JSON '<' stands in strings only
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += c;
    }
  }
  return out;
}

/// Replaces every "@@NAME@@" of the template; the parts themselves are not looked into.
std::string fill(std::string_view page, const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string out;
  while (!page.empty()) {
    const std::size_t begin = page.find("@@");
    out += page.substr(0, begin);
    if (begin == std::string_view::npos) break;
    const std::size_t end = page.find("@@", begin + 2);
    TIDE_ASSERT(end != std::string_view::npos);
    const std::string_view name = page.substr(begin + 2, end - begin - 2);
    for (const auto& [key, text] : parts) {
      if (key == name) out += text;
    }
    page.remove_prefix(end + 2);
  }
  return out;
}

std::string plotly_element(const std::filesystem::path& out_html, PlotlyPlace place) {
  if (place == PlotlyPlace::inlined) return "<script>" + read_text(plotly_path()) + "</script>";
  const auto beside = std::filesystem::absolute(out_html).parent_path() / "plotly.min.js";
  if (!std::filesystem::exists(beside)) write_text_atomically(beside, read_text(plotly_path()));
  return "<script src=\"plotly.min.js\"></script>";
}

}  // namespace

std::filesystem::path plotly_path() {
  const char* chosen = std::getenv("TIDEGAUGE_PLOTLY");
  std::filesystem::path path = chosen && *chosen ? chosen : TIDEGAUGE_PLOTLY_PATH;
  if (!std::filesystem::is_regular_file(path)) {
    fail_input(
        "{}: no such file; expected plotly.min.js (PyPI wheel plotly; TIDEGAUGE_PLOTLY names another place)",
        path.string());
  }
  return path;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    unsigned block = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      block = block << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) out += j <= n ? kDigits[block >> (18 - 6 * j) & 63u] : '=';
  }
  return out;
}

nlohmann::json json_number(double value, int digits) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.{}g}", value, digits).c_str(), nullptr);
}

nlohmann::json json_numbers(const std::vector<float>& values, int digits) {
  auto out = nlohmann::json::array();
  for (const float value : values) out.push_back(json_number(value, digits));
  return out;
}

void write_page(const std::filesystem::path& out_html, const nlohmann::json& data, PlotlyPlace plotly) {
  const char* script = data.at("kind") == "sweep"  ? kSweepScript
                       : data.at("kind") == "plan" ? kPlanScript
                                                   : kRecordingScript;
  write_text_atomically(
      out_html, fill(kPageTemplate,
                     {{"TITLE", escape_html(data.at("title").get<std::string>())},
                      {"STYLE", kPageStyle},
                      {"DATA", std::string(kDataBegin) + script_safe_json(data) + std::string(kScriptEnd)},
                      {"PLOTLY", plotly_element(out_html, plotly)},
                      {"COMMON", kCommonScript},
                      {"SCRIPT", script}}));
}

nlohmann::json read_page_data(const std::filesystem::path& html) {
  const std::string text = read_text(html);
  const std::size_t begin = text.find(kDataBegin);
  const std::size_t end = begin == std::string::npos ? begin : text.find(kScriptEnd, begin);
  if (end == std::string::npos)
    fail_input("{}: no data element; expected a page of tidegauge", html.string());
  const auto first = text.begin() + static_cast<std::ptrdiff_t>(begin + kDataBegin.size());
  auto data = nlohmann::json::parse(first, text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
  if (!data.is_object() || !data.contains("kind") || !data.contains("title") || !data["title"].is_string()) {
    fail_input("{}: its data is broken; expected a page of tidegauge", html.string());
  }
  return data;
}

std::vector<std::string> rewrite_report(const std::filesystem::path& html, PlotlyPlace plotly) {
  const nlohmann::json data = read_page_data(html);
  write_page(html, data, plotly);
  std::vector<std::string> findings;
  for (const auto& finding : data.value("findings", nlohmann::json::array())) {
    if (finding.is_string()) findings.push_back(finding.get<std::string>());
  }
  return findings;
}

}  // namespace tide::analysis
