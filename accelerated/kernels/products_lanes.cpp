// Products of small matrices and softmaxes, sixteen columns at a time: to ask oneDNN for one takes
// longer than to compute it.
#include "exponential_lanes.h"
#include "products.h"

#ifdef DDPM_LANES

#include "lane_products.h"

namespace {

// Words of one column of `k` numbers to be summed over.
template <class T>
constexpr int64_t steps_of(int64_t k) { return (k + kHeld<T> - 1) / kHeld<T>; }

// Two rows of 16 halves as words; one row of floats, which are words.
AVX512_INLINE __m512i words_of_rows(const float* x, int64_t, bool, __mmask16 there) {
  return _mm512_castps_si512(load(x, there));
}
AVX512_INLINE __m512i words_of_rows(const Half* x, int64_t stride, bool both, __mmask16 there) {
  const __m512i one = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, x));
  if (!both) return one;
  const __m512i other = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, x + stride));
  return _mm512_or_si512(one, _mm512_slli_epi32(other, 16));
}

// Rows of `width` numbers that are to be summed over, k of them: columns of 16 words, each as many as
// there are steps; `next` words from one such column to the next, `row` from a step to the next.
template <class T>
AVX512 void pack_rows(const T* x, int64_t k, int64_t width, int64_t next, int64_t row, uint32_t* to) {
  for (int64_t j = 0; j < width; j += kBlock, to += next)
    for (int64_t s = 0; s < steps_of<T>(k); ++s) {
      const __mmask16 there = first_of(width - j);
      const int64_t first = s * kHeld<T>;
      const __m512i words = words_of_rows(x + first * width + j, width, first + 1 < k, there);
      _mm512_mask_storeu_epi32(to + s * row, there, words);
    }
}

// The same of columns, whose words follow each other: (width, steps).
AVX512 void pack_columns(const uint32_t* x, int64_t steps, int64_t width, uint32_t* to) {
  for (int64_t j = 0; j < width; j += kBlock, to += steps * kBlock)
    for (int64_t s = 0; s < steps; s += kBlock) {
      Lanes words[kBlock];
      for (int i = 0; i < kBlock; ++i)
        words[i] = load(reinterpret_cast<const float*>(x) + (j + i) * steps + s,
                        j + i < width ? first_of(steps - s) : 0);
      transpose(words);
      for (int i = 0; i < kBlock && s + i < steps; ++i)
        store(words[i], reinterpret_cast<float*>(to) + (s + i) * kBlock);
    }
}

template <class T, int R>
AVX512_INLINE void multiply_rows(const Left& a, const uint32_t* b, int64_t n, const Place& c) {
  const int64_t next = a.steps * kBlock;
  n > kBlock ? multiply<T, R, 2>(a, b, next, c, false, nullptr, first_of(n - kBlock))
             : multiply<T, R, 1>(a, b, next, c, false, nullptr, first_of(n));
}

// c (m, n) of packed b: two columns of 16 at a time, and then all rows.
template <class T>
AVX512 void multiply_packed(Left a, int64_t m, int64_t n, const uint32_t* b, float* c) {
  const uint32_t* const words = a.words;
  for (int64_t j = 0; j < n; j += 2 * kBlock, b += 2 * a.steps * kBlock)
    for (int64_t i = 0, rows; i < m; i += rows) {
      a.words = words + i * a.row;
      const Place at{c + i * n + j, n, kBlock};
      rows = m - i >= 8 ? 8 : m - i >= 4 ? 4 : 1;
      rows == 8   ? multiply_rows<T, 8>(a, b, n - j, at)
      : rows == 4 ? multiply_rows<T, 4>(a, b, n - j, at)
                  : multiply_rows<T, 1>(a, b, n - j, at);
    }
}

template <class T>
void multiply_matrices(const MatrixShapes& p, const T* a, const T* b, float* c, uint32_t* pad) {
  const int64_t steps = steps_of<T>(p.k), packed = (p.n + kBlock - 1) / kBlock * steps * kBlock;
  if (p.b == kPlain)
    pack_rows(b, p.k, p.n, steps * kBlock, kBlock, pad);
  else
    pack_columns(words_of(b), steps, p.n, pad);
  Left left{words_of(a), steps, 1, 1, 0, steps};
  if (p.a == kTurned) {
    left.row = 1;
    left.step = p.m;
    if (sizeof(T) == sizeof(Half)) {
      pack_rows(a, p.k, p.m, kBlock, p.m, pad + packed);
      left.words = pad + packed;
    }
  }
  multiply_packed<T>(left, p.m, p.n, pad, c);
}

AVX512 void softmax_row(float* x, int64_t n) {
  Lanes most = all_of(x[0]), sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += kBlock)
    most = _mm512_mask_max_ps(most, first_of(n - i), most, load(x + i, first_of(n - i)));
  most = all_of(_mm512_reduce_max_ps(most));
  for (int64_t i = 0; i < n; i += kBlock) {
    const __mmask16 there = first_of(n - i);
    const Lanes power = power_below(load(x + i, there), most);
    store(power, x + i, there);
    sum = _mm512_mask_add_ps(sum, there, sum, power);
  }
  const Lanes inverse = all_of(1.0f / _mm512_reduce_add_ps(sum));
  for (int64_t i = 0; i < n; i += kBlock) {
    const __mmask16 there = first_of(n - i);
    store(load(x + i, there) * inverse, x + i, there);
  }
}

}  // namespace

size_t MatrixShapes::pad() const {
  const int64_t steps = factors == onednn::f32 ? steps_of<float>(k) : steps_of<Half>(k);
  return aligned(((n + kBlock - 1) / kBlock * kBlock + m) * steps * sizeof(uint32_t));
}

bool MatrixShapes::by_lanes() const {
  // Pairs of halves are read as words.
  return has_lanes_for(factors) && (factors == onednn::f32 || k % 2 == 0);
}

void MatrixShapes::multiply(const void* a, const void* b, float* c, void* pad) const {
  uint32_t* const space = static_cast<uint32_t*>(pad);
  if (factors == onednn::f32)
    multiply_matrices(*this, static_cast<const float*>(a), static_cast<const float*>(b), c, space);
  else
    multiply_matrices(*this, static_cast<const Half*>(a), static_cast<const Half*>(b), c, space);
}

void softmax_by_lanes(float* x, int64_t rows, int64_t n) {
  for (int64_t row = 0; row < rows; ++row) softmax_row(x + row * n, n);
}

#else

size_t MatrixShapes::pad() const { return 0; }
bool MatrixShapes::by_lanes() const { return false; }
void MatrixShapes::multiply(const void*, const void*, float*, void*) const {}
void softmax_by_lanes(float*, int64_t, int64_t) {}

#endif
