#pragma once
// GGUF checkpoints split over several files, as llama.cpp's gguf-split and the gguf package write them:
// NAME-00001-of-00003.gguf and so on. The first file holds the metadata; every file says in split.no (from 0)
// which it is, in split.count how many there are and in split.tensors.count how many tensors all of them
// hold.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "model/gguf.h"

namespace tide {

struct GgufSplit {
  std::int64_t count = 1;      ///< files; 1: not split
  std::int64_t n_tensors = 0;  ///< of all files
};

/// What the file that a user named says of its splitting. Throws InputError: it is not the first of several,
/// a key is missing or out of range.
GgufSplit read_split(const GgufFile& first);

/// The paths of all files of the first one's checkpoint. Throws InputError: the first one's name is not
/// NAME-00001-of-COUNT.gguf, a file is absent.
std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& first, const GgufSplit& split);

/// Throws InputError when `shard`, found under the name of number `number` (from 0), says something else than
/// the first file does.
void check_shard(const GgufFile& shard, std::int64_t number, const GgufSplit& first);

/// Throws InputError when the files together hold another number of tensors than they say.
void check_tensor_count(const GgufFile& whole, const GgufSplit& split);

}  // namespace tide
