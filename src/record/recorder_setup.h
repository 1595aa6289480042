#pragma once
// Inside the record room only: from a recorder's options to the file's layout and facts.

#include "record/layout.h"
#include "record/recorder.h"
#include "record/recording_file.h"

namespace tide::record {

/// Throws InputError naming the file and the option that cannot be.
void validate(const RecorderOptions& options, const ModelConfig& config, std::int64_t prompt_len,
              std::int64_t max_steps);

Layout make_layout(const RecorderOptions& options, const ModelConfig& config, std::int64_t prompt_len,
                   std::int64_t max_steps);

FileFacts make_facts(const RecordingOrigin& origin);

}  // namespace tide::record
