// Single numbers of bfloat16, for loops that become vector instructions.
#pragma once

#include <cstring>

#include "products.h"

INLINE float widened(Half half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

INLINE float widened(float x) { return x; }

INLINE void put(float x, Half* to) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t to_even = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  *to = static_cast<Half>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : to_even);
}
INLINE void put(float x, float* to) { *to = x; }
