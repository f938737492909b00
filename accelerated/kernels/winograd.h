// Convolutions of 3x3 pixels by Winograd's minimal filtering F(2x2, 3x3): 16 products where the
// definition has 36 (1509.09308, section 4.1). Where results are twice as high and wide as images, every
// pixel of these stands for a square of four: then it takes 9.
#pragma once

#include "convolution.h"

// Whether that can be done here, and takes less time than the definition.
bool by_winograd(const Convolution& convolution);

// Data as `convolve` has them.
void convolve_by_winograd(const Convolution& convolution, const std::vector<void*>& data);
