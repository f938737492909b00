// Matrix products on sixteen columns at a time, of float32 factors or of pairs of bfloat16 ones.
#pragma once

#include "blocked.h"
#include "lanes.h"

// Factors, in words of 32 bits: a float, or two halves that follow each other in what is summed over.
template <class T>
constexpr int kHeld = sizeof(float) / sizeof(T);  // numbers in a word

template <class T>
constexpr int64_t words(int64_t numbers) { return numbers / kHeld<T>; }
template <class T>
const uint32_t* words_of(const T* numbers) { return reinterpret_cast<const uint32_t*>(numbers); }

// How rows of sixteen are stored as factors: their own numbers are summed over, or those of all rows
// in one column. Then an even row is followed by an odd one, or by nothing.
struct AcrossRow {
  template <class T>
  AVX512_INLINE void put(Lanes x, int64_t row, T* to) { store(x, to + row * kBlock); }
};
struct DownRows {
  AVX512_INLINE void put(Lanes x, int64_t row, float* to) { store(x, to + row * kBlock); }
  AVX512_INLINE void put(Lanes x, int64_t row, Half* to) {
    void* const words = to + row / 2 * 2 * kBlock;
    __m512i pair = _mm512_cvtepu16_epi32(rounded(x));
    if (row % 2) pair = _mm512_or_si512(_mm512_slli_epi32(pair, 16), _mm512_loadu_si512(words));
    _mm512_storeu_si512(words, pair);
  }
};

AVX512_INLINE void add_products(Lanes& sum, uint32_t a, __m512i b, float) {
  sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(a))),
                        _mm512_castsi512_ps(b), sum);
}
AVX512_INLINE void add_products(Lanes& sum, uint32_t a, __m512i b, Half) {
  sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(a)), (__m512bh)b);
}

// The words of the left factor: of row i and step k of block n at i * row + k * step + n * block, and
// how many steps a block has.
struct Left {
  const uint32_t* words;
  int64_t row, step, blocks, block, steps;
};

// Where a result stands: its rows, and its blocks of 16 columns.
struct Place {
  float* at;
  int64_t row, block;
};

// R rows of 16 J columns of a b, of which `last` are there in the last block, added to what stands there
// or, unless `adds`, to `start` of each row.
template <class T, int R, int J>
AVX512_INLINE void multiply(const Left& a, const uint32_t* b, int64_t b_block, const Place& c,
                            bool adds, const float* start = nullptr, __mmask16 last = kAll) {
  Lanes sums[R][J];
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < J; ++j)
      sums[i][j] = adds ? load(c.at + j * c.block + i * c.row, j < J - 1 ? kAll : last)
                        : all_of(start == nullptr ? 0.0f : start[i]);
  const uint32_t* words = a.words;
  for (int64_t n = 0; n < a.blocks; ++n, words += a.block)
    for (int64_t k = 0; k < a.steps; ++k, b += kBlock) {
      __m512i factors[J];
      for (int j = 0; j < J; ++j) factors[j] = _mm512_loadu_si512(b + j * b_block);
      for (int i = 0; i < R; ++i)
        for (int j = 0; j < J; ++j)
          add_products(sums[i][j], words[i * a.row + k * a.step], factors[j], T());
    }
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < J; ++j)
      store(sums[i][j], c.at + j * c.block + i * c.row, j < J - 1 ? kAll : last);
}

// All of a b, in tiles of R rows and 16 J columns: of `rows` rows, a multiple of R, and `columns`
// columns, a multiple of 16.
template <class T, int R, int J>
AVX512_INLINE void multiply_all(Left a, int64_t rows, int64_t columns, const uint32_t* b,
                                int64_t b_block, Place c, bool adds, const float* start = nullptr) {
  const uint32_t* const words = a.words;
  float* const at = c.at;
  for (int64_t done = 0; done < columns;) {
    const bool whole = columns - done >= J * kBlock;
    for (int64_t i = 0; i < rows; i += R) {
      a.words = words + i * a.row;
      c.at = at + done / kBlock * c.block + i * c.row;
      const float* const from = start == nullptr ? nullptr : start + i;
      if (whole)
        multiply<T, R, J>(a, b, b_block, c, adds, from);
      else
        multiply<T, R, 1>(a, b, b_block, c, adds, from);
    }
    const int64_t blocks = whole ? J : 1;
    done += blocks * kBlock;
    b += blocks * b_block;
  }
}
