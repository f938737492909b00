// What the operators share: the oneDNN library, the threads and the scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "onednn.h"
#include "threads.h"

// Written once, by ddpm_kernels_open before any operator runs, and only read after that.
struct Library {
  onednn::functions dnn;
  Threads* threads = nullptr;
  Threads* alone = nullptr;  // the caller's thread only
  bool has_lanes = false;    // whether the processor has what lanes.h is for

  // Who is to do an operator of so many floating-point operations: to share a small one would take
  // longer than to do it.
  Threads& threads_for(int64_t work) const { return work < kWorthSharing ? *alone : *threads; }
  static constexpr int64_t kWorthSharing = 1'000'000;
};

const Library& library();

// What it costs to read, compute and write one number, in operations.
constexpr int64_t kWorkOfAnElement = 32;

// Memory for the duration of one call, from a list of pieces that earlier calls have returned.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return data_; }

 private:
  size_t bytes_ = 0;
  void* data_ = nullptr;
};

// The arguments of an operator, as MindSpore passes them: inputs first, then outputs.
struct Arguments {
  int count;
  void** data;
  const int* ndims;
  int64_t** shapes;
  float* floats(int i) const { return static_cast<float*>(data[i]); }
  std::vector<int64_t> shape(int i) const { return {shapes[i], shapes[i] + ndims[i]}; }
  int64_t size(int i) const {
    return std::accumulate(shapes[i], shapes[i] + ndims[i], int64_t{1}, std::multiplies<>());
  }
};

#if defined(__x86_64__)
// Compiled three times; the loader takes what the processor has.
#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

#define EXPORT extern "C" __attribute__((visibility("default")))

// What MindSpore gets from an operator: 0, or 1 after saying on stderr what went wrong. A library that
// was not opened in this process refuses: it would call functions of oneDNN that it does not have.
int run_operator(const char* name, void (*body)(const Arguments&), const Arguments& args);

// Defines an operator as MindSpore calls it; the body follows.
#define DDPM_OPERATOR(name)                                                                     \
  static void name##_body(const Arguments& args);                                               \
  EXPORT int name(int count, void** data, int* ndims, int64_t** shapes, const char**, void*,    \
                  void*) {                                                                      \
    return run_operator(#name, name##_body, {count, data, ndims, shapes});                      \
  }                                                                                             \
  static void name##_body(const Arguments& args)
