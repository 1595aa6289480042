#pragma once
// Inside the record room only: the promises of a recording, one function each.

#include <vector>

#include "record/inspect.h"
#include "record/reader.h"

namespace tide::record {

/// Runs every check on an open recording.
std::vector<SoundnessCheck> check_recording(const RecordingReader& reader);

}  // namespace tide::record
