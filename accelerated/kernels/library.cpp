#include "lanes.h"

#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <vector>

namespace {

Library the_library;

struct Piece {
  size_t bytes;
  void* data;
  int cpu;  // whose caches may hold it
};

// Pieces are as many as there have been calls at the same time.
std::mutex pieces_mutex;
std::vector<Piece> pieces;

// Whether a is to be taken rather than b: the smallest of those that are large enough, first of those
// that this processor used last; if none is, the largest, which is then made anew.
bool is_better(const Piece& a, const Piece& b, size_t bytes, int cpu) {
  const bool fits = a.bytes >= bytes, other_fits = b.bytes >= bytes;
  if (fits != other_fits) return fits;
  if (!fits) return a.bytes > b.bytes;
  if ((a.cpu == cpu) != (b.cpu == cpu)) return a.cpu == cpu;
  return a.bytes < b.bytes;
}

bool is_right_version(const onednn::version_info& version) {
  return version.major == onednn::kMajor && version.minor == onednn::kMinor &&
         version.cpu_runtime == onednn::kThreadpool;
}

// Once in a process: MindSpore ends the graph, and its own error names the function alone.
void complain(const char* name, const char* reason) {
  static std::atomic_flag said = ATOMIC_FLAG_INIT;
  if (said.test_and_set()) return;
  Dl_info self{};
  dladdr(&the_library, &self);
  std::fprintf(stderr, "ddpm-mindspore: operator %s of %s failed: %s\n", name,
               self.dli_fname == nullptr ? "?" : self.dli_fname, reason);
}

// What compiling the graph has left free goes back to the system before the graph's own memory is
// taken, else a process's peak would be the sum of both.
void give_back() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

const Library& library() { return the_library; }

int run_operator(const char* name, void (*body)(const Arguments&), const Arguments& args) {
  try {
    if (the_library.threads == nullptr)
      throw std::logic_error("this process has not opened the library; was it replaced, or does the "
                             "graph belong to another installation? Start the program again");
    static std::once_flag first;
    std::call_once(first, give_back);
    body(args);
    return 0;
  } catch (const std::exception& error) {
    complain(name, error.what());
  } catch (...) {
    complain(name, "not a standard exception");
  }
  return 1;
}

Scratch::Scratch(size_t bytes) {
  {
    std::lock_guard<std::mutex> lock(pieces_mutex);
    const int cpu = sched_getcpu();
    const auto best = std::min_element(pieces.begin(), pieces.end(), [&](auto& a, auto& b) {
      return is_better(a, b, bytes, cpu);
    });
    if (best != pieces.end()) {
      bytes_ = best->bytes;
      data_ = best->data;
      pieces.erase(best);
    }
  }
  if (bytes_ >= bytes) return;
  std::free(data_);
  bytes_ = (bytes + 4095) / 4096 * 4096;
  data_ = std::aligned_alloc(4096, bytes_);
  if (data_ == nullptr) throw std::bad_alloc();
}

Scratch::~Scratch() {
  std::lock_guard<std::mutex> lock(pieces_mutex);
  pieces.push_back({bytes_, data_, sched_getcpu()});
}

// Find oneDNN at `path` (MindSpore has it loaded already, so this is the same copy) and start the
// threads. Returns nullptr, or why the operators cannot be used: nothing is kept then.
EXPORT const char* ddpm_kernels_open(const char* path, int threads) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (the_library.threads != nullptr) return nullptr;
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return "oneDNN cannot be loaded";
  Library opened;
  auto& dnn = opened.dnn;
#define ONEDNN_LOOK_UP(type, name, args)                                         \
  dnn.name = reinterpret_cast<decltype(dnn.name)>(dlsym(handle, "dnnl_" #name)); \
  if (dnn.name == nullptr) return "oneDNN lacks dnnl_" #name;                    \
  if (!is_right_version(*dnn.version())) return "oneDNN is not version 3.10 with a thread pool";
  ONEDNN_FUNCTIONS(ONEDNN_LOOK_UP)
#undef ONEDNN_LOOK_UP
  if (dnn.engine_create(&dnn.engine, onednn::engine_cpu, 0) != onednn::success)
    return "oneDNN has no CPU engine";
  const int wide = onednn::isa_avx512_core;
  opened.has_lanes = (dnn.get_effective_cpu_isa() & wide) == wide;
  try {
    auto alone = std::make_unique<Threads>(1);
    opened.threads = new Threads(threads < 1 ? 1 : threads);
    opened.alone = alone.release();
  } catch (const std::bad_alloc&) {
    return "there is no memory for its threads";
  }
  the_library = opened;
  return nullptr;
}

// Whether whole residual blocks, and convolutions of 3x3 pixels, with factors of float32 or bfloat16
// are computed sixteen channels at a time.
EXPORT int ddpm_kernels_lanes(int bfloat16) {
  return has_lanes_for(bfloat16 ? onednn::bf16 : onednn::f32);
}
