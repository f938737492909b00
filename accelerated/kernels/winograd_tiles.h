// The transforms of Winograd's F(2x2, 3x3), sixteen channels at a time. Along each axis (1509.09308,
// equation 6), of four pixels d, three weights g and two results y:
//
//   B^T d = (d_0 - d_2, d_1 + d_2, d_2 - d_1, d_1 - d_3)
//   G g   = (g_0, (g_0 + g_1 + g_2) / 2, (g_0 - g_1 + g_2) / 2, g_2)
//   y     = A^T m = (m_0 + m_1 + m_2, m_1 - m_2 - m_3),   m = G g * B^T d, each by each
#pragma once

#include "lane_products.h"

constexpr int kPositions = 16;  // of a transformed tile

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
template <class Put, class T>
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
    for (int r = 0; r < 4; ++r) {
      Lanes row[4];
      spread(columns[0][r], columns[1][r], columns[2][r], columns[3][r], row);
      for (int c = 0; c < 4; ++c) Put::put(row[c], first + i, v + (4 * r + c) * position);
    }
  }
}

// A dy A^T of the same tiles; adds dy to `sum`.
template <class T>
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
    for (int r = 0; r < 4; ++r) {
      T* const to = z + 4 * r * position;
      DownRows::put(rows[r][0], first + i, to);
      DownRows::put(rows[r][0] + rows[r][1], first + i, to + position);
      DownRows::put(rows[r][0] - rows[r][1], first + i, to + 2 * position);
      DownRows::put(-rows[r][1], first + i, to + 3 * position);
    }
  }
  _mm512_storeu_ps(sum, all);
}

// A^T m A, plus bias.
template <class T>
AVX512 void transform_result(const float* m, int64_t first, int64_t position, const float* bias,
                             int64_t width, int64_t ty, int64_t tx, int64_t count, T* result) {
  const Lanes plus = bias == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(bias);
  for (int64_t i = 0; i < count; ++i) {
    Lanes rows[2][4];
    for (int c = 0; c < 4; ++c) {
      const float* const from = m + c * position + (first + i) * kBlock;
      const Lanes m1 = _mm512_loadu_ps(from + 4 * position), m2 = _mm512_loadu_ps(from + 8 * position);
      rows[0][c] = _mm512_loadu_ps(from) + m1 + m2;
      rows[1][c] = m1 - m2 - _mm512_loadu_ps(from + 12 * position);
    }
    for (int r = 0; r < 2; ++r) {
      T* const to = result + ((2 * ty + r) * width + 2 * (tx + i)) * kBlock;
      store(rows[r][0] + rows[r][1] + rows[r][2] + plus, to);
      store(rows[r][1] - rows[r][2] - rows[r][3] + plus, to + kBlock);
    }
  }
}

// G g of three weights.
AVX512_INLINE void widen(const Lanes& g0, const Lanes& g1, const Lanes& g2, Lanes* u) {
  const Lanes half = _mm512_set1_ps(0.5f), ends = half * (g0 + g2), middle = half * g1;
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
  const Lanes half = _mm512_set1_ps(0.5f), ends = half * (u1 + u2);
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
