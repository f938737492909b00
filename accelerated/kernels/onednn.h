// The part of oneDNN's C interface that is used here, declared anew: MindSpore ships the library
// without its headers. The declarations are those of version 3.10; another version is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace onednn {

constexpr int kMajor = 3, kMinor = 10;
constexpr unsigned kThreadpool = 8;  // how this build runs in parallel: on the caller's threads

using dims = int64_t[12];

struct version_info {
  int major, minor, patch;
  const char* hash;
  unsigned cpu_runtime, gpu_runtime;
};

struct exec_arg {
  int arg;
  void* memory;
};

enum { success = 0 };
enum { engine_cpu = 1 };
enum { bf16 = 2, f32 = 3 };
enum { tag_any = 1, tag_blocks_of_16 = 78 };  // the latter: 16 channels of a pixel side by side
// Sets of bits, which those of what came later contain.
enum { isa_avx512_core = 0x27, isa_avx512_core_bf16 = 0xe7, isa_amx_tile = 0x200 };
enum { forward_training = 64 };
enum { convolution_direct = 1 };
enum { scratchpad_user = 1 };
enum { query_exec_arg_md = 255 };
enum {
  arg_src = 1,
  arg_dst = 17,
  arg_weights = 33,
  arg_bias = 41,
  arg_scratchpad = 80,
  arg_diff_src = 129,
  arg_diff_dst = 145,
  arg_diff_weights = 161,
  arg_diff_bias = 169
};

// What a stream calls to run n instances of a function; the order of the methods is the ABI.
struct threadpool {
  virtual int get_num_threads() const = 0;
  virtual bool get_in_parallel() const = 0;
  virtual void parallel_for(int n, const std::function<void(int, int)>& function) = 0;
  virtual uint64_t get_flags() const = 0;
  virtual void wait() = 0;
  virtual ~threadpool() = default;
};

// Descriptors, primitives and so on are opaque pointers. A function that returns int returns a
// status, 0 for success.
#define ONEDNN_FUNCTIONS(F)                                                                       \
  F(const version_info*, version, (void))                                                         \
  F(int, engine_create, (void** engine, int kind, size_t index))                                  \
  F(int, get_effective_cpu_isa, (void))                                                           \
  F(int, threadpool_interop_stream_create, (void** stream, void* engine, void* threadpool))       \
  F(int, threadpool_interop_set_max_concurrency, (int threads))                                   \
  F(int, threadpool_interop_get_max_concurrency, (int* threads))                                  \
  F(int, stream_destroy, (void* stream))                                                          \
  F(int, memory_desc_create_with_strides,                                                         \
    (void** md, int ndims, const dims sizes, int type, const dims strides))                       \
  F(int, memory_desc_create_with_tag,                                                             \
    (void** md, int ndims, const dims sizes, int type, int tag))                                  \
  F(int, memory_desc_destroy, (void* md))                                                         \
  F(int, memory_desc_equal, (const void* a, const void* b))                                       \
  F(size_t, memory_desc_get_size, (const void* md))                                               \
  F(int, memory_create, (void** memory, const void* md, void* engine, void* data))                \
  F(int, memory_destroy, (void* memory))                                                          \
  F(int, primitive_attr_create, (void** attr))                                                    \
  F(int, primitive_attr_set_scratchpad_mode, (void* attr, int mode))                              \
  F(int, primitive_attr_destroy, (void* attr))                                                    \
  F(int, reorder_primitive_desc_create,                                                           \
    (void** pd, const void* from, void* from_engine, const void* to, void* to_engine,             \
     const void* attr))                                                                           \
  F(int, convolution_forward_primitive_desc_create,                                               \
    (void** pd, void* engine, int kind, int algorithm, const void* src, const void* weights,      \
     const void* bias, const void* dst, const dims strides, const dims dilates,                   \
     const dims padding_l, const dims padding_r, const void* attr))                               \
  F(int, convolution_backward_data_primitive_desc_create,                                         \
    (void** pd, void* engine, int algorithm, const void* diff_src, const void* weights,           \
     const void* diff_dst, const dims strides, const dims dilates, const dims padding_l,          \
     const dims padding_r, const void* forward, const void* attr))                                \
  F(int, convolution_backward_weights_primitive_desc_create,                                      \
    (void** pd, void* engine, int algorithm, const void* src, const void* diff_weights,           \
     const void* diff_bias, const void* diff_dst, const dims strides, const dims dilates,         \
     const dims padding_l, const dims padding_r, const void* forward, const void* attr))          \
  F(int, inner_product_forward_primitive_desc_create,                                             \
    (void** pd, void* engine, int kind, const void* src, const void* weights, const void* bias,   \
     const void* dst, const void* attr))                                                          \
  F(int, inner_product_backward_data_primitive_desc_create,                                       \
    (void** pd, void* engine, const void* diff_src, const void* weights, const void* diff_dst,    \
     const void* forward, const void* attr))                                                      \
  F(int, inner_product_backward_weights_primitive_desc_create,                                    \
    (void** pd, void* engine, const void* src, const void* diff_weights, const void* diff_bias,   \
     const void* diff_dst, const void* forward, const void* attr))                                \
  F(int, matmul_primitive_desc_create,                                                            \
    (void** pd, void* engine, const void* src, const void* weights, const void* bias,             \
     const void* dst, const void* attr))                                                          \
  F(const void*, primitive_desc_query_md, (const void* pd, int what, int index))                  \
  F(int, primitive_desc_destroy, (void* pd))                                                      \
  F(int, primitive_create, (void** primitive, const void* pd))                                    \
  F(int, primitive_execute,                                                                       \
    (const void* primitive, void* stream, int count, const exec_arg* args))                       \
  F(int, primitive_destroy, (void* primitive))

struct functions {
#define ONEDNN_POINTER(type, name, args) type(*name) args = nullptr;
  ONEDNN_FUNCTIONS(ONEDNN_POINTER)
#undef ONEDNN_POINTER
  void* engine = nullptr;
};

}  // namespace onednn
