#pragma once
// Inside the record room only: whole chunks of datasets, compressed outside HDF5's lock by several
// threads and written past its filter pipeline (H5Dwrite_chunk), in order.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "record/h5.h"

struct libdeflate_compressor;

namespace tide::record {

/// One chunk as it lies in memory, uncompressed.
struct Chunk {
  hid_t dataset;
  hsize_t offset[3];  ///< of the chunk's first element
  const void* data;
  std::size_t bytes;
  std::size_t element_size;
};

/// Byte planes of `elements` elements one after another (HDF5's shuffle filter).
void shuffle_bytes(const std::uint8_t* data, std::size_t elements, std::size_t element_size,
                   std::uint8_t* out);

/// Writes chunks. Not thread-safe itself; its helpers are inside.
class ChunkWriter {
 public:
  /// `compress`: the datasets were made with shuffle and deflate.
  ChunkWriter(bool compress, std::string file);
  ~ChunkWriter();

  /// Throws WorkError naming the file.
  void write(const std::vector<Chunk>& chunks);

 private:
  struct Packed {
    std::vector<std::uint8_t> bytes;  ///< zlib stream; empty: it did not shrink
    bool done = false;
  };
  void help();
  void pack_next(libdeflate_compressor* compressor, std::vector<std::uint8_t>& planes,
                 std::unique_lock<std::mutex>& lock);
  void write_packed(const Chunk& chunk, Packed& packed);

  bool compress_;
  std::string file_;
  std::mutex mutex_;
  std::condition_variable work_, done_;
  const std::vector<Chunk>* chunks_ = nullptr;
  std::vector<Packed> packed_;
  std::size_t next_ = 0;
  std::size_t written_ = 0;
  bool stop_ = false;
  libdeflate_compressor* compressor_ = nullptr;
  std::vector<std::uint8_t> planes_;
  std::vector<std::thread> helpers_;
};

}  // namespace tide::record
