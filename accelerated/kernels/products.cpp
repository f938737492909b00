#include "products.h"

#include <memory>
#include <tuple>

#include "lanes.h"
#include "plans.h"

namespace {

constexpr int kLanes = 16;

Handle matrix(int64_t rows, int64_t columns, int type, Stored stored) {
  const auto& dnn = library().dnn;
  const onednn::dims sizes{rows, columns};
  onednn::dims strides{columns, 1};
  if (stored == kTurned) strides[0] = 1, strides[1] = rows;
  return make(dnn.memory_desc_destroy, dnn.memory_desc_create_with_strides, 2, sizes, type,
              strides);
}

Handle multiplication(const MatrixShapes& p) {
  const auto& dnn = library().dnn;
  const void* none = nullptr;
  return make(dnn.primitive_desc_destroy, dnn.matmul_primitive_desc_create, dnn.engine,
              matrix(p.m, p.k, p.factors, p.a), matrix(p.k, p.n, p.factors, p.b), none,
              matrix(p.m, p.n, onednn::f32, kPlain), attributes());
}

FOR_EVERY_CPU void round_to_half(const float* __restrict x, int64_t n, Half* __restrict to) {
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, 4);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    to[i] = static_cast<Half>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
  }
}

FOR_EVERY_CPU void softmax_row(float* x, int64_t n) {
  float largest[kLanes], sums[kLanes] = {};
  for (int j = 0; j < kLanes; ++j) largest[j] = x[0];
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) largest[j] = x[i + j] > largest[j] ? x[i + j] : largest[j];
  for (; i < n; ++i) largest[0] = x[i] > largest[0] ? x[i] : largest[0];
  float most = largest[0];
  for (int j = 1; j < kLanes; ++j) most = largest[j] > most ? largest[j] : most;
  for (i = 0; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) sums[j] += x[i + j] = power_below(x[i + j], most);
  for (; i < n; ++i) sums[0] += x[i] = power_below(x[i], most);
  float sum = 0.0f;
  for (int j = 0; j < kLanes; ++j) sum += sums[j];
  const float inverse = 1.0f / sum;
  for (i = 0; i < n; ++i) x[i] *= inverse;
}

FOR_EVERY_CPU void gradient_row(const float* y, float* dy, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes[j] += y[i + j] * dy[i + j];
  for (; i < n; ++i) lanes[0] += y[i] * dy[i];
  float inner = 0.0f;
  for (int j = 0; j < kLanes; ++j) inner += lanes[j];
  for (i = 0; i < n; ++i) dy[i] = y[i] * (dy[i] - inner);
}

}  // namespace

Product::Product(const MatrixShapes& shapes) : shapes_(shapes) {
  if (!shapes.by_lanes()) primitive_ = std::make_unique<Primitive>(multiplication(shapes));
}

size_t Product::pad() const {
  return primitive_ ? aligned(primitive_->bytes(onednn::arg_scratchpad)) : shapes_.pad();
}

void Product::operator()(const void* a, const void* b, float* c, void* pad, OwnStream& stream) const {
  if (!primitive_) return shapes_.multiply(a, b, c, pad);
  Run run;
  run.bind(*primitive_, onednn::arg_src, const_cast<void*>(a));
  run.bind(*primitive_, onednn::arg_weights, const_cast<void*>(b));
  run.bind(*primitive_, onednn::arg_dst, c);
  run.bind(*primitive_, onednn::arg_scratchpad, pad);
  run(*primitive_, stream);
}

const Product& product(int factors, int64_t m, int64_t n, int64_t k, Stored a, Stored b) {
  // Never forgotten: who uses one has no share in it.
  static std::mutex mutex;
  static std::map<std::tuple<int, int64_t, int64_t, int64_t, Stored, Stored>,
                  std::unique_ptr<const Product>>
      products;
  std::lock_guard<std::mutex> lock(mutex);
  auto& found = products[{factors, m, n, k, a, b}];
  if (found == nullptr)
    found = made_for(*library().alone,
                     [&] { return std::make_unique<Product>(MatrixShapes{factors, m, n, k, a, b}); });
  return *found;
}

OwnStream::operator void*() {
  const auto& dnn = library().dnn;
  if (static_cast<void*>(stream_) == nullptr)
    stream_ = make(dnn.stream_destroy, dnn.threadpool_interop_stream_create, dnn.engine,
                   static_cast<void*>(static_cast<onednn::threadpool*>(library().alone)));
  return stream_;
}

const Half* factors(const float* x, int64_t n, Half* space) {
  round_to_half(x, n, space);
  return space;
}

void softmax(float* x, int64_t rows, int64_t n) {
  if (has_lanes_for(onednn::f32)) return softmax_by_lanes(x, rows, n);
  for (int64_t row = 0; row < rows; ++row) softmax_row(x + row * n, n);
}

void softmax_gradient(const float* weights, float* dweights, int64_t rows, int64_t n) {
  for (int64_t row = 0; row < rows; ++row) gradient_row(weights + row * n, dweights + row * n, n);
}
