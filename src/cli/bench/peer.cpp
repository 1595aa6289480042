#include "cli/bench/peer.h"

#include <filesystem>

#include "base/error.h"
#include "cli/version.h"

namespace tide::cli {

namespace {

std::vector<std::string> command_of(const std::string& program) {
  const std::string file = program == "llama.cpp" ? "llama_cpp_peer.py" : "hf_peer.py";
  const std::string script = std::string(TIDEGAUGE_PEERS) + "/" + file;
  for (const std::string& part : {std::string(TIDEGAUGE_PYTHON), script}) {
    if (!std::filesystem::exists(part)) fail_input("--peer {}: {} is not there", program, part);
  }
  return {TIDEGAUGE_PYTHON, script};
}

/// The program's name. Throws InputError when it cannot take weights of that type.
const std::string& check(const std::string& program, const std::string& dtype) {
  if (program == "hf" && dtype != "bf16" && dtype != "fp32") {
    fail_input("--peer hf: has no {} weights; expected --dtype bf16 or fp32", dtype);
  }
  return program;
}

}  // namespace

Peer::Peer(const std::string& program, const nlohmann::json& setup)
    : program_(check(program, setup.at("dtype"))),
      child_(command_of(program)),
      facts_(exchange(setup)),
      name_(facts_.at("name")) {}

nlohmann::json Peer::ask(const nlohmann::json& request) { return exchange(request); }

nlohmann::json Peer::exchange(const nlohmann::json& request) {
  child_.send(request.dump());
  const auto answer = nlohmann::json::parse(child_.receive());
  if (answer.contains("missing")) {
    fail_input("--peer {}: {}; `make bench` installs it", program_, answer.at("missing").get<std::string>());
  }
  if (answer.contains("error")) fail_work("{}: {}", program_, answer.at("error").get<std::string>());
  return answer;
}

std::unique_ptr<Peer> start_peer(const std::string& program, const BenchOptions& options,
                                 const Session& session, std::int64_t n_ctx, std::int64_t sequences) {
  return std::make_unique<Peer>(program, nlohmann::json{{"model", session.model->path().string()},
                                                        {"sha256", session.model->sha256()},
                                                        {"dtype", options.model.dtype},
                                                        {"n_ctx", n_ctx},
                                                        {"threads", session.decoder->n_threads()},
                                                        {"sequences", sequences}});
}

}  // namespace tide::cli
