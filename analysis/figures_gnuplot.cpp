#include "analysis/figures_gnuplot.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

extern char** environ;

namespace tide::analysis {
namespace {

constexpr const char* kFont = "DejaVu Sans";
constexpr int kPngScale = 2;  // twice the SVG's pixels: sharp in print and on dense screens

/// An unnamed file in memory, closed with its scope.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : descriptor_(memfd_create(name, MFD_CLOEXEC)) {
    if (descriptor_ < 0) fail_work("create a memory file for gnuplot: {}", std::strerror(errno));
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int descriptor() const { return descriptor_; }

  void write_all(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = write(descriptor_, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_work("write a script for gnuplot: {}", std::strerror(errno));
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    lseek(descriptor_, 0, SEEK_SET);
  }

  std::string read_all() {
    std::string text;
    char buffer[4096];
    lseek(descriptor_, 0, SEEK_SET);
    for (ssize_t n; (n = read(descriptor_, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  int descriptor_;
};

/// gnuplot's message as one line: without the echo of the script and the caret below it.
std::string one_line(const std::string& message) {
  std::string line;
  for (std::size_t at = 0; at < message.size();) {
    const std::size_t end = std::min(message.find('\n', at), message.size());
    std::string piece = message.substr(at, end - at);
    at = end + 1;
    const std::size_t first = piece.find_first_not_of(" \t^");
    if (first == std::string::npos) continue;
    if (!line.empty()) line += "; ";
    line += piece.substr(first);
  }
  if (line.size() > 400) line = line.substr(line.size() - 400);
  return line.empty() ? "no message" : line;
}

void run_gnuplot(const std::string& script) {
  const char* chosen = std::getenv("TIDEGAUGE_GNUPLOT");
  std::string program = chosen && *chosen ? chosen : "gnuplot";
  MemoryFile input("gnuplot-script"), output("gnuplot-messages");
  input.write_all(script);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.descriptor(), STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.descriptor(), STDERR_FILENO);
  std::string defaults = "-d";  // the user's start-up file must not change our figures
  char* arguments[] = {program.data(), defaults.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    fail_work(
        "start {} for a figure: {}; install gnuplot (Debian: gnuplot-nox) or name it in TIDEGAUGE_GNUPLOT",
        program, std::strerror(error));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail_work("wait for {}: {}", program, std::strerror(errno));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fail_work("draw a figure with {}: {}", program, one_line(output.read_all()));
  }
}

std::string terminal_command(std::string_view extension, const Canvas& canvas) {
  const int width = static_cast<int>(std::lround(canvas.width));
  const int height = static_cast<int>(std::lround(canvas.height));
  if (extension == "png") {
    return fmt::format(
        "set terminal pngcairo noenhanced background 'white' size {},{} font '{},{}' fontscale {} linewidth "
        "{} "
        "pointscale {}\n",
        width * kPngScale, height * kPngScale, kFont, kTextPoints, kPngScale, kPngScale, kPngScale);
  }
  if (extension == "svg") {
    return fmt::format("set terminal svg noenhanced background 'white' size {},{} dynamic font '{},{}'\n",
                       width, height, kFont, kTextPoints);
  }
  // 72 points an inch: the same proportions as the SVG
  return fmt::format(
      "set terminal pdfcairo noenhanced background 'white' size {:.4f},{:.4f} font '{},{}' fontscale 1\n",
      width / 72.0, height / 72.0, kFont, kTextPoints);
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

/// Publishes an SVG with its title; readers without our font fall back to a sans-serif one.
void publish_svg(const std::filesystem::path& file, std::string title) {
  std::string text = read_text(part_path(file));
  replace_all(text, fmt::format("font-family=\"{}\"", kFont),
              fmt::format("font-family=\"{}, Verdana, Helvetica, Arial, sans-serif\"", kFont));
  replace_all(title, "&", "&amp;");
  replace_all(title, "<", "&lt;");
  replace_all(text, "<title>Gnuplot</title>", "<title>" + title + "</title>");
  write_text_atomically(file, text);
}

}  // namespace

std::string gnuplot_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += (c == '\n' || c == '\r') ? ' ' : c;
  }
  return out + "'";
}

double text_width(std::string_view text, double points) {
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; };
  const auto characters =
      text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues));
  return 0.74 * points * static_cast<double>(characters);
}

std::string pixel_label(const Canvas& canvas, double x, double y, std::string_view text, double points,
                        std::string_view colour, std::string_view align) {
  return fmt::format("set label {} at screen {:.6f},{:.6f} {} font ',{}' textcolor rgb '{}' front\n",
                     gnuplot_quoted(text), x / canvas.width, 1 - y / canvas.height, align, points, colour);
}

std::string frame_commands(const Canvas& canvas, const std::string& subtitle, const std::string& x_label,
                           const std::string& y_label) {
  std::string out = "reset\nset encoding utf8\n";
  out += fmt::format("set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}\n",
                     canvas.left / canvas.width, canvas.right / canvas.width);
  out += fmt::format("set tmargin at screen {:.6f}\nset bmargin at screen {:.6f}\n",
                     1 - canvas.top / canvas.height, 1 - canvas.bottom / canvas.height);
  if (!canvas.title.empty()) {
    out += fmt::format("set label {} at screen {:.6f},{:.6f} left font '{}:Bold,{}' textcolor rgb '{}'\n",
                       gnuplot_quoted(canvas.title), 14 / canvas.width, 1 - 19 / canvas.height, kFont,
                       kTitlePoints, kInk);
  }
  if (!subtitle.empty()) out += pixel_label(canvas, 14, 38, subtitle, kSmallPoints, kGrey, "left");
  if (!x_label.empty()) {
    out += pixel_label(canvas, (canvas.left + canvas.right) / 2, canvas.bottom + 36, x_label, kTextPoints,
                       kInk, "center");
  }
  if (!y_label.empty()) {
    out += fmt::format(
        "set label {} at screen {:.6f},{:.6f} center rotate by 90 font ',{}' textcolor rgb '{}' front\n",
        gnuplot_quoted(y_label), 20 / canvas.width, 1 - (canvas.top + canvas.bottom) / 2 / canvas.height,
        kTextPoints, kInk);
  }
  out += fmt::format("set border linewidth 0.8 linecolor rgb '{}'\n", kGrey);
  out +=
      fmt::format("set tics out nomirror scale 0.5,0.3 font ',{}' textcolor rgb '{}'\n", kSmallPoints, kInk);
  return out + "unset key\n";
}

const std::vector<std::string>& palette_colours(Palette palette) {
  static const std::vector<std::string> viridis = {"#440154", "#482878", "#3e4989", "#31688e", "#26828e",
                                                   "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"};
  static const std::vector<std::string> cividis = {"#00224e", "#123570", "#3b496c", "#575d6d", "#707173",
                                                   "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"};
  return palette == Palette::viridis ? viridis : cividis;
}

std::string palette_command(Palette palette) {
  const auto& colours = palette_colours(palette);
  std::string stops;
  for (std::size_t i = 0; i < colours.size(); ++i)
    stops += fmt::format("{}{} '{}'", i ? ", " : "", i, colours[i]);
  return fmt::format("set palette defined ({})\n", stops);
}

double palette_luminance(Palette palette, double share) {
  const auto& colours = palette_colours(palette);
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(colours.size() - 1);
  const std::string& colour = colours[static_cast<std::size_t>(std::lround(place))];
  const auto channel = [&](std::size_t at) {
    const double value = static_cast<double>(std::stoi(colour.substr(at, 2), nullptr, 16)) / 255.0;
    return std::pow(value, 2.2);
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

const std::string& series_colour(std::size_t index) {
  static const std::array<std::string, 8> colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                     "#e69f00", "#56b4e9", "#332288", "#555555"};
  return colours[index % colours.size()];
}

std::string tick_text(double value) {
  const double size = std::fabs(value);
  if (value == 0) return "0";
  if (size >= 0.001 && size < 1e5) return fmt::format("{:.4g}", value);
  static const std::array<const char*, 10> digit = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  const int exponent = static_cast<int>(std::floor(std::log10(size) + 1e-9));
  const double mantissa = value / std::pow(10.0, exponent);
  std::string power = exponent < 0 ? "⁻" : "";
  for (const char c : std::to_string(std::abs(exponent))) power += digit[static_cast<std::size_t>(c - '0')];
  if (std::fabs(mantissa - 1) < 1e-6) return "10" + power;
  return fmt::format("{:.3g}·10{}", mantissa, power);
}

double nice_step(double span, int most) {
  if (!(span > 0)) return 1;
  const double unit = std::pow(10.0, std::floor(std::log10(span / most)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    if (span / (unit * factor) <= most * (1 + 1e-9)) return unit * factor;
  }
  return unit * 10;
}

std::string tick_command(std::string_view axis, const std::vector<double>& values,
                         const std::vector<std::string>& texts) {
  TIDE_ASSERT(values.size() == texts.size());
  if (values.empty()) return fmt::format("unset {}tics\n", axis);
  std::string list;
  for (std::size_t i = 0; i < values.size(); ++i) {
    list += fmt::format("{}{} {:.9g}", i ? ", " : "", gnuplot_quoted(texts[i]), values[i]);
  }
  return fmt::format("set {}tics ({})\n", axis, list);
}

void draw(const std::filesystem::path& stem, FigureFormats formats, const Canvas& canvas,
          const std::string& data, const std::string& body) {
  std::vector<std::string> extensions;
  if (formats.png) extensions.push_back("png");
  if (formats.svg) extensions.push_back("svg");
  if (formats.pdf) extensions.push_back("pdf");
  std::string script = data;
  std::vector<std::filesystem::path> files;
  for (const std::string& extension : extensions) {
    files.push_back(stem.string() + "." + extension);
    script += terminal_command(extension, canvas);
    script += fmt::format("set output {}\n{}\nunset output\n",
                          gnuplot_quoted(part_path(files.back()).string()), body);
  }
  try {
    run_gnuplot(script);
  } catch (...) {
    for (const auto& file : files) {
      std::error_code ignored;
      std::filesystem::remove(part_path(file), ignored);
    }
    throw;
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (extensions[i] == "svg") {
      publish_svg(files[i], canvas.title);
    } else {
      publish(files[i]);
    }
  }
}

}  // namespace tide::analysis
