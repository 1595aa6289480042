// Shows the oracle tests what our tokenizer does.
//   tokenizer_probe MODEL            one request a line on stdin, one answer a line on stdout:
//     encode HEX | special HEX       ids of the bytes; special: names of special tokens are tokens
//     decode ID…                     hexadecimal bytes, special tokens by name
//     answer ID…                     the same without special tokens
//     chat JSON                      {"messages": [{"role", "content"}…], "prefix"} -> ids
//   tokenizer_probe MODEL time FILE  MB/s of encode, best of 5

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

namespace {

using tide::Tokenizer;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string to_hex(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

std::vector<std::int32_t> parse_ids(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::int32_t>(stream), {}};
}

std::vector<std::int32_t> chat(const Tokenizer& tokenizer, const std::string& text) {
  const auto request = nlohmann::json::parse(text);
  std::vector<tide::ChatMessage> messages;
  for (const auto& message : request.at("messages")) {
    messages.push_back({message.at("role"), message.at("content")});
  }
  return tokenizer.encode_chat(messages, request.at("prefix").get<std::string>());
}

std::string answer(const Tokenizer& tokenizer, const std::string& request) {
  const auto space = request.find(' ');
  const std::string verb = request.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : request.substr(space + 1);
  if (verb == "decode") return to_hex(tokenizer.decode(parse_ids(rest), true));
  if (verb == "answer") return to_hex(tokenizer.decode(parse_ids(rest)));
  if (verb == "chat") return fmt::format("{}", fmt::join(chat(tokenizer, rest), " "));
  return fmt::format("{}", fmt::join(tokenizer.encode(from_hex(rest), verb == "special"), " "));
}

/// Of a GGUF file or a Hugging Face folder.
Tokenizer load_tokenizer(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return Tokenizer(read_tokenizer(tide::GgufFile(path)));
  const auto config = nlohmann::json::parse(tide::read_text(path / "config.json"));
  return Tokenizer(tide::read_hf_tokenizer(path, config.at("vocab_size").get<int>()));
}

void time_encode(const Tokenizer& tokenizer, const std::string& path) {
  const std::string text = tide::read_text(path);
  double best_s = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    tokenizer.encode(text);
    best_s =
        std::min(best_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  fmt::print("{:.1f} MB/s\n", static_cast<double>(text.size()) / 1e6 / best_s);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    fmt::print(stderr, "usage: tokenizer_probe MODEL [time FILE]\n");
    return 2;
  }
  try {
    const Tokenizer tokenizer = load_tokenizer(argv[1]);
    if (argc == 4) {
      time_encode(tokenizer, argv[3]);
      return 0;
    }
    std::string request;
    while (std::getline(std::cin, request)) std::cout << answer(tokenizer, request) << std::endl;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return dynamic_cast<const tide::InputError*>(&error) != nullptr ? 2 : 1;
  }
}
