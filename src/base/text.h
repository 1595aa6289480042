#pragma once
// Small text helpers shared by every room.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

/// Splits at every `separator`; an empty text gives one empty piece.
std::vector<std::string> split(std::string_view text, char separator);

/// The candidate with the least edit distance to `name`; empty when there is no candidate.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// `what`'s value as a whole number of 64 bits. Throws InputError naming `what`.
long long parse_integer(std::string_view text, std::string_view what);

/// `what`'s value as a finite number. Throws InputError naming `what`.
double parse_number(std::string_view text, std::string_view what);

/// `0-1+8` -> {0, 1, 8}, ascending. Throws InputError naming `what` and `noun` ("layer"): an index
/// that is not in [0, limit), one named twice, a range that runs backwards.
std::vector<std::int64_t> parse_index_list(std::string_view text, std::int64_t limit, const std::string& what,
                                           const std::string& noun);

/// Valid UTF-8, every invalid byte replaced with U+FFFD.
std::string to_valid_utf8(std::string_view bytes);

/// "1.2 GB", "340 KB": decimal units.
std::string human_bytes(double bytes);

}  // namespace tide
