#pragma once
// Lines of comma-separated values (RFC 4180), one record a line.

#include <string>
#include <string_view>
#include <vector>

namespace tide {

/// A field, quoted when it holds a comma, a quote or a space at an end. Line breaks, tabs and other control
/// characters are written as \n, \r, \t, \xNN and a backslash as \\, so that a record is always one line.
std::string csv_field(std::string_view text);

/// Fields joined by commas, without the line's end.
std::string csv_line(const std::vector<std::string>& fields);

/// The fields of one line, quotes taken off; escapes stay as they are written. Throws InputError for a
/// quote that is not closed.
std::vector<std::string> parse_csv_line(std::string_view line);

/// A number with six significant digits; nothing for NaN.
std::string csv_number(double value);

}  // namespace tide
