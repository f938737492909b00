// The exponential function, for loops that become vector instructions.
#pragma once

#include <cstdint>
#include <cstring>

#include "library.h"

// exp(x), to about one unit in the last place; x is held to where the result is a normal number.
INLINE float exponential(float x) {
  x = x < 88.0f ? x : 88.0f;
  x = x > -87.0f ? x : -87.0f;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  const float shifted = x * 1.44269504f + magic;
  const float n = shifted - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // x - n ln 2, ln 2 in two parts
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r) * r + r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  bits = (bits + 127) << 23;  // 2^n: the upper bits of the magic number are shifted out
  float power;
  std::memcpy(&power, &bits, 4);
  return p * power;
}

// exp(x - most). Far below the largest it is 0; a NaN stays one, which the exponential does not keep.
INLINE float power_below(float x, float most) {
  const float d = x - most;
  return d < -87.0f ? 0.0f : exponential(d) + (d - d);
}

INLINE float sigmoid(float z) { return 1.0f / (1.0f + exponential(-z)); }
