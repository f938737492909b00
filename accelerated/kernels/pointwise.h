// Convolutions of single pixels: products of the weights with plain images (B, C, N) as they are.
#pragma once

#include "convolution.h"

// Whether that can be done here.
bool by_product(const Convolution& convolution);

// Data as `convolve` has them.
void convolve_by_product(const Convolution& convolution, const std::vector<void*>& data);
