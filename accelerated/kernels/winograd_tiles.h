// The transforms of Winograd's F(2x2, 3x3), sixteen channels at a time. Along each axis (1509.09308,
// equation 6), of four pixels d, three weights g and two results y:
//
//   B^T d = (d_0 - d_2, d_1 + d_2, d_2 - d_1, d_1 - d_3)
//   G g   = (g_0, (g_0 + g_1 + g_2) / 2, (g_0 - g_1 + g_2) / 2, g_2)
//   y     = A^T m = (m_0 + m_1 + m_2, m_1 - m_2 - m_3),   m = G g * B^T d, each by each
#pragma once

#include "lane_products.h"

// Which rows and columns of a transformed tile there are: all four or, where every pixel stands in a
// 2x2 square of equal ones, all but the third, which is d_2 - d_1 = 0.
struct Whole {
  static constexpr int n = 4, row[4] = {0, 1, 2, 3};
};
struct Doubled {
  static constexpr int n = 3, row[4] = {0, 1, 3, 3};
};

template <class Rows>
constexpr int kPositions = Rows::n * Rows::n;

// B^T d of four pixels.
AVX512_INLINE void spread(const Lanes& d0, const Lanes& d1, const Lanes& d2, const Lanes& d3,
                          Lanes* v) {
  v[0] = d0 - d2;
  v[1] = d1 + d2;
  v[2] = d2 - d1;
  v[3] = d1 - d3;
}

// B^T d B of `count` tiles of one row of tiles, the first of them number `tx`; each position's
// numbers begin `position` after the last one's.
template <class Rows, class Put, class T>
AVX512 void transform_image(const T* image, int64_t height, int64_t width, int64_t ty, int64_t tx,
                            int64_t count, T* v, int64_t first, int64_t position) {
  __mmask16 there[4];
  for (int r = 0; r < 4; ++r) there[r] = 2 * ty + r >= 1 && 2 * ty + r <= height ? 0xffff : 0;
  Lanes columns[4][4];
  const T* const corner = image + (2 * ty - 1) * width * kBlock;
  const int64_t down = width * kBlock;
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < 4; ++c) {
      if (c < 2 && i > 0) {
        for (int r = 0; r < 4; ++r) columns[c][r] = columns[c + 2][r];
        continue;
      }
      const int64_t x = 2 * (tx + i) + c - 1;
      const __mmask16 in = x >= 0 && x < width ? 0xffff : 0;
      const T* const from = corner + x * kBlock;
      spread(load(from, there[0] & in), load(from + down, there[1] & in),
             load(from + 2 * down, there[2] & in), load(from + 3 * down, there[3] & in), columns[c]);
    }
    for (int r = 0; r < Rows::n; ++r) {
      const int at = Rows::row[r];
      Lanes row[4];
      spread(columns[0][at], columns[1][at], columns[2][at], columns[3][at], row);
      for (int c = 0; c < Rows::n; ++c)
        Put::put(row[Rows::row[c]], first + i, v + (Rows::n * r + c) * position);
    }
  }
}

// The same of an image whose pixels stand for squares of four: one for each tile, given their size.
template <class Put, class T>
AVX512 void transform_small(const T* image, int64_t height, int64_t width, int64_t ty, int64_t tx,
                            int64_t count, T* v, int64_t first, int64_t position) {
  const __mmask16 above = ty > 0 ? kAll : 0, below = ty + 1 < height ? kAll : 0;
  const T* const from = image + (ty * width + tx) * kBlock;
  const int64_t down = width * kBlock;
  for (int64_t i = 0; i < count; ++i) {
    Lanes columns[3][3];
    for (int c = 0; c < 3; ++c) {
      const int64_t x = tx + i + c - 1;
      const __mmask16 in = x >= 0 && x < width ? kAll : 0;
      const T* const at = from + (i + c - 1) * kBlock;
      const Lanes middle = load(at, in);
      columns[c][0] = load(at - down, above & in) - middle;
      columns[c][1] = middle + middle;
      columns[c][2] = middle - load(at + down, below & in);
    }
    for (int r = 0; r < 3; ++r) {
      T* const to = v + 3 * r * position;
      Put::put(columns[0][r] - columns[1][r], first + i, to);
      Put::put(columns[1][r] + columns[1][r], first + i, to + position);
      Put::put(columns[1][r] - columns[2][r], first + i, to + 2 * position);
    }
  }
}

// A dy A^T of the same tiles; adds dy to `sum`.
template <class Rows, class T>
AVX512 void transform_gradient(const T* dy, int64_t width, int64_t ty, int64_t tx, int64_t count,
                               T* z, int64_t first, int64_t position, float* sum) {
  Lanes all = _mm512_loadu_ps(sum);
  for (int64_t i = 0; i < count; ++i) {
    const T* const from = dy + (2 * ty * width + 2 * (tx + i)) * kBlock;
    Lanes rows[4][2];
    for (int c = 0; c < 2; ++c) {
      const Lanes above = load(from + c * kBlock, 0xffff);
      const Lanes below = load(from + (width + c) * kBlock, 0xffff);
      rows[0][c] = above;
      rows[1][c] = above + below;
      rows[2][c] = above - below;
      rows[3][c] = -below;
    }
    all += rows[1][0] + rows[1][1];
    for (int r = 0; r < Rows::n; ++r) {
      const Lanes left = rows[Rows::row[r]][0], right = rows[Rows::row[r]][1];
      const Lanes row[4] = {left, left + right, left - right, -right};
      for (int c = 0; c < Rows::n; ++c)
        DownRows::put(row[Rows::row[c]], first + i, z + (Rows::n * r + c) * position);
    }
  }
  _mm512_storeu_ps(sum, all);
}

// A^T m of four numbers, or of three where the third of them is 0.
AVX512_INLINE void gather(const Lanes* m, Whole, Lanes* y) {
  y[0] = m[0] + m[1] + m[2];
  y[1] = m[1] - m[2] - m[3];
}
AVX512_INLINE void gather(const Lanes* m, Doubled, Lanes* y) {
  y[0] = m[0] + m[1];
  y[1] = m[1] - m[2];
}

// A^T m A, plus bias.
template <class Rows, class T>
AVX512 void transform_result(const float* m, int64_t first, int64_t position, const float* bias,
                             int64_t width, int64_t ty, int64_t tx, int64_t count, T* result) {
  const Lanes plus = bias == nullptr ? _mm512_setzero_ps() : load(bias);
  for (int64_t i = 0; i < count; ++i) {
    Lanes rows[2][4];
    for (int c = 0; c < Rows::n; ++c) {
      Lanes column[4], both[2];
      for (int r = 0; r < Rows::n; ++r)
        column[r] = load(m + (Rows::n * r + c) * position + (first + i) * kBlock);
      gather(column, Rows(), both);
      rows[0][c] = both[0];
      rows[1][c] = both[1];
    }
    for (int r = 0; r < 2; ++r) {
      T* const to = result + ((2 * ty + r) * width + 2 * (tx + i)) * kBlock;
      Lanes y[2];
      gather(rows[r], Rows(), y);
      store(y[0] + plus, to);
      store(y[1] + plus, to + kBlock);
    }
  }
}

// The sum of the four results of each tile: (1, 2, 0, -1) m (1, 2, 0, -1)^T.
AVX512_INLINE Lanes sum_of(const Lanes& m0, const Lanes& m1, const Lanes& m3) {
  return m0 + m1 + m1 - m3;
}

template <class T>
AVX512 void transform_sum(const float* m, int64_t first, int64_t position, int64_t width, int64_t ty,
                          int64_t tx, int64_t count, T* result) {
  for (int64_t i = 0; i < count; ++i) {
    Lanes rows[3];
    for (int r = 0; r < 3; ++r) {
      const float* const from = m + 3 * r * position + (first + i) * kBlock;
      rows[r] = sum_of(load(from), load(from + position), load(from + 2 * position));
    }
    store(sum_of(rows[0], rows[1], rows[2]), result + (ty * width + tx + i) * kBlock);
  }
}

// G g of three weights.
AVX512_INLINE void widen(const Lanes& g0, const Lanes& g1, const Lanes& g2, Lanes* u) {
  const Lanes half = all_of(0.5f), ends = half * (g0 + g2), middle = half * g1;
  u[0] = g0;
  u[1] = ends + middle;
  u[2] = ends - middle;
  u[3] = g2;
}

constexpr __mmask16 kFilter = 0x1ff;  // nine numbers

// G g G^T of 16 filters that stand `stride` apart, turned about their middle or not.
AVX512_INLINE void transform_weight(const float* w, int64_t stride, bool turned, Lanes* u) {
  Lanes g[kBlock], rows[3][4];
  load_turned(w, stride, kFilter, g);
  for (int c = 0; c < 3; ++c)
    if (turned)
      widen(g[8 - c], g[5 - c], g[2 - c], rows[c]);
    else
      widen(g[c], g[3 + c], g[6 + c], rows[c]);
  for (int r = 0; r < 4; ++r) widen(rows[0][r], rows[1][r], rows[2][r], u + 4 * r);
}

// G^T u of four numbers.
AVX512_INLINE void narrow(const Lanes& u0, const Lanes& u1, const Lanes& u2, const Lanes& u3,
                          Lanes* g) {
  const Lanes half = all_of(0.5f), ends = half * (u1 + u2);
  g[0] = u0 + ends;
  g[1] = half * (u1 - u2);
  g[2] = ends + u3;
}

// G^T u G into 16 filters that stand `stride` apart.
AVX512_INLINE void transform_back(const Lanes* u, int64_t stride, float* w) {
  Lanes columns[4][3], g[kBlock];
  for (int c = 0; c < 4; ++c) narrow(u[c], u[4 + c], u[8 + c], u[12 + c], columns[c]);
  for (int r = 0; r < 3; ++r)
    narrow(columns[0][r], columns[1][r], columns[2][r], columns[3][r], g + 3 * r);
  for (int i = 9; i < kBlock; ++i) g[i] = _mm512_setzero_ps();
  transpose(g);
  for (int i = 0; i < kBlock; ++i) store(g[i], w + i * stride, kFilter);
}
