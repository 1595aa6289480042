#pragma once
// plotly.js of the pages.

#include <filesystem>

namespace tide::analysis {

/// Where the page finds plotly.js. Inlined (4.8 MB): the page is one file. Beside: the page names
/// `plotly.min.js` in its own folder, where one copy is written unless it is there (many pages in one
/// repository share it).
enum class PlotlyPlace { inlined, beside };

/// Path of plotly.min.js: environment variable TIDEGAUGE_PLOTLY, or that of the build. Throws InputError
/// when there is no such file.
std::filesystem::path plotly_path();

}  // namespace tide::analysis
