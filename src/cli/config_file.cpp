#include "cli/config_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tide::cli {

namespace {

constexpr const char* kOurs = "TideGauge config";

/// The values after `--name` or `--name=` in the arguments, in order.
std::vector<std::string> values_of(const std::vector<std::string>& arguments, const std::string& name) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == name && i + 1 < arguments.size()) values.push_back(arguments[i + 1]);
    if (arguments[i].starts_with(name + "=")) values.push_back(arguments[i].substr(name.size() + 1));
  }
  return values;
}

bool is_given(const std::vector<std::string>& arguments, const std::string& name) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return argument == name || argument.starts_with(name + "=");
  });
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help" && name != "version" && name != "config" && name != "set") names.push_back(name);
    }
  }
  return names;
}

std::string text_of(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  fail_input("{}: expected a text, a number or true/false", where);
}

/// Key -> values of a TOML table, in file order of keys.
std::map<std::string, std::vector<std::string>> flatten(const toml::table& table, const std::string& where) {
  std::map<std::string, std::vector<std::string>> values;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const std::string at = fmt::format("{}, line {}: key '{}'", where, node.source().begin.line, name);
    if (const auto* list = node.as_array()) {
      for (const toml::node& item : *list) values[name].push_back(text_of(item, at));
    } else {
      values[name].push_back(text_of(node, at));
    }
  }
  return values;
}

std::map<std::string, std::vector<std::string>> read_file(const std::string& file) {
  try {
    return flatten(toml::parse(read_text(file), file), file);
  } catch (const toml::parse_error& error) {
    fail_input("{}, line {}: {}", file, error.source().begin.line, error.description());
  }
}

void check_key(const std::vector<std::string>& known, const std::string& key, const std::string& where) {
  if (std::find(known.begin(), known.end(), key) != known.end()) return;
  fail_input("{}: key '{}' is unknown; the nearest is '{}'", where, key, nearest(key, known));
}

void append_option(const CLI::App& command, const std::string& key, const std::vector<std::string>& values,
                   std::vector<std::string>& arguments) {
  const CLI::Option* option = command.get_option("--" + key);
  if (option->get_expected_max() == 0) {  // a flag
    if (values.size() != 1 || (values[0] != "true" && values[0] != "false")) {
      fail_input("config: key '{}' is a switch, expected true or false", key);
    }
    if (values[0] == "true") arguments.push_back("--" + key);
    return;
  }
  for (const std::string& value : values) arguments.push_back("--" + key + "=" + value);
}

/// A number as it stands, anything else as a quoted text.
std::string as_toml(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && std::isfinite(number)) return text;
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

/// The subcommand that an argument names; nullptr: none.
const CLI::App* subcommand(const CLI::App& root, const std::string& name) {
  for (const CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

}  // namespace

void add_config_options(CLI::App& command) {
  if (command.get_option_no_throw("--config") != nullptr) return;
  command.add_option("--config", "TOML file with options of this command by their long names")
      ->type_name("FILE.toml")
      ->group(kOurs);
  command.add_option("--set", "key=value on top of the config file; may be given again")
      ->type_name("KEY=VALUE")
      ->group(kOurs)
      ->take_all();
}

void check_words(const CLI::App& root, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.front().starts_with('-')) return;
  const CLI::App* command = subcommand(root, arguments.front());
  if (command == nullptr) {
    std::vector<std::string> names;
    for (const CLI::App* known : root.get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(known->get_name());
    }
    fail_input("command '{}' is unknown; the nearest is '{}'", arguments.front(),
               nearest(arguments.front(), names));
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    if (!name.starts_with("--") || name == "--" || std::find(names.begin(), names.end(), name) != names.end())
      continue;
    fail_input("{}: option '{}' is unknown; the nearest is '{}'", command->get_name(), name,
               nearest(name, names));
  }
}

std::vector<std::string> expand_config(const CLI::App& root, std::vector<std::string> arguments) {
  const auto named = std::find_if(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return subcommand(root, argument) != nullptr;
  });
  if (named == arguments.end()) return arguments;
  const CLI::App& command = *subcommand(root, *named);
  const CLI::Option* config = command.get_option_no_throw("--config");
  if (config == nullptr || config->get_group() != kOurs) return arguments;

  std::map<std::string, std::vector<std::string>> values;
  const std::vector<std::string> known = option_names(command);
  for (const std::string& file : values_of(arguments, "--config")) {
    for (auto& [key, value] : read_file(file)) {
      check_key(known, key, file);
      values[key] = std::move(value);
    }
  }
  for (const std::string& pair : values_of(arguments, "--set")) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos) fail_input("--set {}: expected key=value", pair);
    check_key(known, pair.substr(0, equals), "--set");
    values[pair.substr(0, equals)] = {pair.substr(equals + 1)};
  }
  for (const auto& [key, value] : values) {
    if (!is_given(arguments, "--" + key)) append_option(command, key, value, arguments);
  }
  return arguments;
}

std::string resolved_config(const CLI::App& command) {
  std::string text = "# tidegauge " + command.get_name() + "\n";
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty()) continue;
    const std::string name = option->get_lnames().front();
    if (name == "help" || name == "version" || name == "config" || name == "set" || name == "force" ||
        name == "json")
      continue;
    if (option->get_expected_max() == 0) {
      text += fmt::format("{} = {}\n", name, option->count() > 0 ? "true" : "false");
      continue;
    }
    std::vector<std::string> values = option->results();
    if (values.empty() && !option->get_default_str().empty()) values = {option->get_default_str()};
    if (values.empty()) continue;
    if (values.size() == 1) {
      text += fmt::format("{} = {}\n", name, as_toml(values[0]));
    } else {
      text += name + " = [";
      for (std::size_t i = 0; i < values.size(); ++i) text += (i == 0 ? "" : ", ") + as_toml(values[i]);
      text += "]\n";
    }
  }
  return text;
}

}  // namespace tide::cli
