// What attention is made of: products of float32 or bfloat16 factors on the caller's thread, and
// numbers that are rounded for them.
#pragma once

#include "exponential.h"
#include "plan.h"

// A number of bfloat16: the upper half of a float.
using Half = uint16_t;

template <class T>
constexpr int type_of() {
  return sizeof(T) == sizeof(Half) ? onednn::bf16 : onednn::f32;
}

// n numbers as factors: rounded to bfloat16, to the nearest and ties to even (a NaN stays one), into
// the space that is given, or as they are.
const Half* factors(const float* x, int64_t n, Half* space);
inline const float* factors(const float* x, int64_t, float*) { return x; }

// Whether a matrix is stored as its transpose.
enum Stored { kPlain, kTurned };

// Of a product: the factors' type, a (m, k), b (k, n), and how they are stored.
struct MatrixShapes {
  int factors;
  int64_t m, n, k;
  Stored a, b;
  // Whether it is computed by lanes, without oneDNN; the memory that takes; and doing it.
  bool by_lanes() const;
  size_t pad() const;
  void multiply(const void* a, const void* b, float* c, void* pad) const;
};

// For oneDNN to run on the caller's thread alone; made when it is needed.
class OwnStream {
 public:
  operator void*();

 private:
  Handle stream_{library().dnn.stream_destroy};
};

// c = a b for a (m, k), b (k, n) of one type; c and the sums are float32.
class Product {
 public:
  explicit Product(const MatrixShapes& shapes);
  size_t pad() const;
  void operator()(const void* a, const void* b, float* c, void* pad, OwnStream& stream) const;

 private:
  MatrixShapes shapes_;
  std::unique_ptr<const Primitive> primitive_;  // null where it is computed by lanes
};

// The product of these shapes, made once.
const Product& product(int factors, int64_t m, int64_t n, int64_t k, Stored a, Stored b);

// Of each row of n numbers the weights exp(x) / sum(exp(x)), and dL/dx = w (dL/dw - <w, dL/dw>) of
// dL/dw, both in place.
void softmax(float* x, int64_t rows, int64_t n);
void softmax_by_lanes(float* x, int64_t rows, int64_t n);
void softmax_gradient(const float* weights, float* dweights, int64_t rows, int64_t n);

// Parts of one piece of memory, one after another.
class Parts {
 public:
  explicit Parts(void* begin) : at_(static_cast<char*>(begin)) {}
  template <class T>
  T* take(int64_t count) {
    T* const part = reinterpret_cast<T*>(at_);
    at_ += aligned(static_cast<size_t>(count) * sizeof(T));
    return part;
  }
  size_t taken() const { return reinterpret_cast<size_t>(at_); }  // from a begin of 0

 private:
  char* at_;
};

// Call work(item) for all items, each on one thread; an item is so much work.
template <class Work>
void for_each_item(int64_t items, int64_t work_of_each, Work work) {
  auto& threads = library().threads_for(items * work_of_each);
  const int parts = static_cast<int>(std::min<int64_t>(items, 4 * threads.get_num_threads()));
  threads.parallel_for(parts, [&](int part, int of) {
    for (int64_t item = items * part / of; item < items * (part + 1) / of; ++item) work(item);
  });
}
