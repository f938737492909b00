// What exponential.h computes, of sixteen numbers at a time.
#pragma once

#include "lanes.h"

#ifdef DDPM_LANES

// exp(x), to about one unit in the last place; x is held to where the result is a normal number. A
// NaN stays one.
AVX512_INLINE Lanes exponential(Lanes x) {
  x = _mm512_max_ps(all_of(-87.0f), _mm512_min_ps(all_of(88.0f), x));
  const Lanes n = _mm512_roundscale_ps(x * all_of(1.44269504f), 0);  // to a whole number
  const Lanes upper = _mm512_fnmadd_ps(n, all_of(0.693359375f), x);
  const Lanes r = _mm512_fmadd_ps(n, all_of(2.12194440e-4f), upper);  // x - n ln 2
  Lanes p = all_of(1.9875691500e-4f);
  for (const float next : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                           5.0000001201e-1f, 1.0f, 1.0f})
    p = _mm512_fmadd_ps(p, r, all_of(next));
  return _mm512_scalef_ps(p, n);
}

// exp(x - most), or 0 far below the largest.
AVX512_INLINE Lanes power_below(Lanes x, Lanes most) {
  const Lanes d = x - most;
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(d, all_of(-87.0f), _CMP_NLT_UQ), exponential(d));
}

AVX512_INLINE Lanes sigmoid(Lanes z) { return all_of(1.0f) / (all_of(1.0f) + exponential(-z)); }

#endif
