#pragma once
// The way to gnuplot: quoting, a canvas in pixels, one child process a figure. Private to figures*.cpp.

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/figures.h"

namespace tide::analysis {

/// A figure's size and plot area in pixels of the SVG; y grows downwards.
struct Canvas {
  std::string title;  ///< also the SVG's title element, which screen readers and pointers show
  double width = 0, height = 0;
  double left = 0, right = 0, top = 0, bottom = 0;  ///< edges of the plot area

  double plot_width() const { return right - left; }
  double plot_height() const { return bottom - top; }
};

/// Font sizes in points, the same in every figure.
inline constexpr double kTitlePoints = 12, kTextPoints = 10, kSmallPoints = 8.5;
inline constexpr const char* kInk = "#222222";
inline constexpr const char* kGrey = "#666666";

/// 'text' in gnuplot's single quotes: nothing inside is special; line breaks become blanks.
std::string gnuplot_quoted(std::string_view text);

/// Width in pixels that `text` takes at `points`, estimated from the number of characters.
double text_width(std::string_view text, double points);

/// Title, subtitle, margins and axis labels: the start of every figure's commands.
std::string frame_commands(const Canvas& canvas, const std::string& subtitle, const std::string& x_label,
                           const std::string& y_label);

/// `set label` at a pixel of the canvas; `align` is left, center or right.
std::string pixel_label(const Canvas& canvas, double x, double y, std::string_view text, double points,
                        std::string_view colour, std::string_view align);

/// A palette as stops of equal distance, "#rrggbb".
const std::vector<std::string>& palette_colours(Palette palette);
std::string palette_command(Palette palette);
/// Relative luminance, 0 black to 1 white, of a palette at `share` in [0, 1].
double palette_luminance(Palette palette, double share);

/// Colours of series and groups (Okabe and Ito's, safe for colour-blind readers), cycled.
const std::string& series_colour(std::size_t index);

/// A tick label of a value: "0.25", "128"; powers of ten below 0.01 or from 100000 as 10⁻³.
std::string tick_text(double value);
/// Distance 1, 2 or 5 times a power of ten such that at most `most` steps cover `span`.
double nice_step(double span, int most);
/// `set xtics (…)` (axis "x", "y" or "cb") at the given values with our tick texts.
std::string tick_command(std::string_view axis, const std::vector<double>& values,
                         const std::vector<std::string>& texts);

/// Draws `data` (data blocks) and `body` (commands and the plot) once for every format, in one child
/// process, and publishes the files. Throws WorkError with gnuplot's message.
void draw(const std::filesystem::path& stem, FigureFormats formats, const Canvas& canvas,
          const std::string& data, const std::string& body);

}  // namespace tide::analysis
