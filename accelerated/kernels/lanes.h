// Sixteen floats at a time, for processors with AVX-512. Elsewhere, and where the compiler does not
// know it, nothing of this exists (DDPM_LANES).
#pragma once

#include "products.h"

#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 10)
#define DDPM_LANES 1
#endif

// Whether they are there, and the best that the processor has for factors of float32, or of bfloat16:
// not with AMX, which oneDNN uses.
inline bool has_lanes_for([[maybe_unused]] int factors) {
#ifdef DDPM_LANES
  constexpr int half = onednn::isa_avx512_core_bf16;
  if (factors != onednn::bf16) return library().has_lanes;
  return (library().dnn.get_effective_cpu_isa() & (half | onednn::isa_amx_tile)) == half;
#else
  return false;
#endif
}

#ifdef DDPM_LANES

#include <immintrin.h>

// The last of these for halves alone; who calls functions for floats need not have it.
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define AVX512_INLINE AVX512 INLINE

using Lanes = __m512;

constexpr __mmask16 kAll = 0xffff;

AVX512_INLINE Lanes all_of(float x) { return _mm512_set1_ps(x); }
AVX512_INLINE Lanes load(const float* at, __mmask16 there = kAll) {
  return _mm512_maskz_loadu_ps(there, at);
}
AVX512_INLINE Lanes load(const Half* at, __mmask16 there = kAll) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, at));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
AVX512_INLINE __m256i rounded(Lanes x) { return (__m256i)_mm512_cvtneps_pbh(x); }
AVX512_INLINE void store(Lanes x, float* to, __mmask16 there = kAll) {
  _mm512_mask_storeu_ps(to, there, x);
}
AVX512_INLINE void store(Lanes x, Half* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), rounded(x));
}

// Rows to columns of sixteen.
AVX512_INLINE void transpose(Lanes* x) {
  Lanes pairs[16], fours[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      const __m512d a = _mm512_castps_pd(pairs[i + j]), b = _mm512_castps_pd(pairs[i + j + 2]);
      fours[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      fours[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  for (int k = 0; k < 4; ++k) {
    const Lanes a = _mm512_shuffle_f32x4(fours[k], fours[4 + k], 0x44);
    const Lanes b = _mm512_shuffle_f32x4(fours[k], fours[4 + k], 0xee);
    const Lanes c = _mm512_shuffle_f32x4(fours[8 + k], fours[12 + k], 0x44);
    const Lanes d = _mm512_shuffle_f32x4(fours[8 + k], fours[12 + k], 0xee);
    x[k] = _mm512_shuffle_f32x4(a, c, 0x88);
    x[4 + k] = _mm512_shuffle_f32x4(a, c, 0xdd);
    x[8 + k] = _mm512_shuffle_f32x4(b, d, 0x88);
    x[12 + k] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}

// The columns of sixteen rows that stand `stride` apart, of as many as `there` says.
AVX512_INLINE void load_turned(const float* rows, int64_t stride, __mmask16 there, Lanes* x) {
  for (int i = 0; i < 16; ++i) x[i] = load(rows + i * stride, there);
  transpose(x);
}

AVX512_INLINE __mmask16 first_of(int64_t n) {
  return static_cast<__mmask16>(n < 16 ? (1u << n) - 1 : kAll);
}

#endif
