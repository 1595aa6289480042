#include "record/chunk_writer.h"

#include <libdeflate.h>

#include <algorithm>

namespace tide::record {

namespace {

constexpr int kLevel = 1;          // float16 maps shrink little more at higher levels
constexpr std::size_t kAhead = 4;  // packed chunks a helper may be ahead of the writer
constexpr std::uint32_t kSkipBothFilters = 0b11;

std::size_t helper_count() { return std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, 4); }

}  // namespace

void shuffle_bytes(const std::uint8_t* data, std::size_t elements, std::size_t element_size,
                   std::uint8_t* out) {
  for (std::size_t byte = 0; byte < element_size; ++byte) {
    for (std::size_t i = 0; i < elements; ++i) *out++ = data[i * element_size + byte];
  }
}

ChunkWriter::ChunkWriter(bool compress, std::string file) : compress_(compress), file_(std::move(file)) {
  if (!compress_) return;
  compressor_ = libdeflate_alloc_compressor(kLevel);
  TIDE_ASSERT(compressor_ != nullptr);
  for (std::size_t i = 0; i < helper_count(); ++i) helpers_.emplace_back([this] { help(); });
}

ChunkWriter::~ChunkWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
  if (compressor_ != nullptr) libdeflate_free_compressor(compressor_);
}

void ChunkWriter::help() {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(kLevel);
  std::vector<std::uint8_t> planes;
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] {
      return stop_ ||
             (chunks_ != nullptr && next_ < chunks_->size() && next_ < written_ + kAhead * helpers_.size());
    });
    if (stop_) break;
    pack_next(compressor, planes, lock);
    done_.notify_one();
  }
  libdeflate_free_compressor(compressor);
}

void ChunkWriter::pack_next(libdeflate_compressor* compressor, std::vector<std::uint8_t>& planes,
                            std::unique_lock<std::mutex>& lock) {
  const Chunk& chunk = (*chunks_)[next_];
  Packed& packed = packed_[next_];
  ++next_;
  lock.unlock();
  planes.resize(chunk.bytes);
  shuffle_bytes(static_cast<const std::uint8_t*>(chunk.data), chunk.bytes / chunk.element_size,
                chunk.element_size, planes.data());
  packed.bytes.resize(chunk.bytes);
  packed.bytes.resize(
      libdeflate_zlib_compress(compressor, planes.data(), chunk.bytes, packed.bytes.data(), chunk.bytes));
  lock.lock();
  packed.done = true;
}

void ChunkWriter::write_packed(const Chunk& chunk, Packed& packed) {
  const bool shrunk = !packed.bytes.empty();
  const std::uint32_t skipped = compress_ && !shrunk ? kSkipBothFilters : 0;
  const void* data = shrunk ? packed.bytes.data() : chunk.data;
  const std::size_t bytes = shrunk ? packed.bytes.size() : chunk.bytes;
  h5::work(H5Dwrite_chunk(chunk.dataset, H5P_DEFAULT, skipped, chunk.offset, bytes, data), "write", file_);
  packed.bytes = {};
}

void ChunkWriter::write(const std::vector<Chunk>& chunks) {
  Packed plain;
  if (!compress_) {
    for (const Chunk& chunk : chunks) write_packed(chunk, plain);
    return;
  }
  std::unique_lock lock(mutex_);
  packed_.clear();
  packed_.resize(chunks.size());
  next_ = written_ = 0;
  chunks_ = &chunks;
  work_.notify_all();
  const auto leave = [&] {  // helpers must be out of the chunks before their memory goes
    const std::size_t taken = next_;
    next_ = chunks.size();
    done_.wait(lock, [&] {
      return std::all_of(packed_.begin(), packed_.begin() + static_cast<std::ptrdiff_t>(taken),
                         [](const Packed& packed) { return packed.done; });
    });
    chunks_ = nullptr;
  };
  try {
    for (; written_ < chunks.size(); ++written_, work_.notify_all()) {
      while (!packed_[written_].done) {
        if (next_ < chunks.size() && next_ <= written_) {
          pack_next(compressor_, planes_, lock);  // rather than wait
        } else {
          done_.wait(lock);
        }
      }
      lock.unlock();
      write_packed(chunks[written_], packed_[written_]);
      lock.lock();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    leave();
    throw;
  }
  leave();
}

}  // namespace tide::record
